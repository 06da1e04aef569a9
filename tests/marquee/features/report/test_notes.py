"""Every feature is described."""

from marquee import schema
from marquee.features.report.notes import FEATURE_NOTES, MOMENTS


def test_notes_describe_exactly_the_features_of_the_store_and_the_request():
    stored = {name for fields in schema.FEATURE_VIEWS.values() for name in fields}

    assert set(FEATURE_NOTES) == stored | set(schema.CONTEXT_FEATURES)
    assert set(MOMENTS) <= stored


def test_notes_are_one_sentence_or_more_on_one_line():
    for name, note in FEATURE_NOTES.items():
        assert note.endswith("."), name
        assert "\n" not in note, name


def test_notes_of_times_say_since_when_they_count():
    for name, unit in MOMENTS.items():
        assert "1970" in FEATURE_NOTES[name], name
        assert ("microseconds" if unit == "us" else "days") in FEATURE_NOTES[name]
