"""`python -m pipelines …`: what `marquee pipeline …` hands over to."""

from pipelines.cli import main

if __name__ == "__main__":
    main()
