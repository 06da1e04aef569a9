"""`marquee deploy aws-policies`: the IAM policies of k8s/aws with an account's own names in them."""

from pathlib import Path
from typing import Annotated

import typer

from marquee.cli.options import AsJson


def aws_policies(  # noqa: PLR0913, PLR0917 - an argument an option
    account: Annotated[str, typer.Option("--account", help="Of AWS, twelve digits.")],
    region: Annotated[str, typer.Option("--region", help="Such as eu-central-1.")],
    bucket: Annotated[str, typer.Option("--bucket", help="Of bundles, features and the pipelines' root.")],
    github: Annotated[str, typer.Option("--github", metavar="OWNER/NAME", help="The repository.")],
    oidc: Annotated[str, typer.Option("--oidc", metavar="HOST/PATH", help="Issuer of the cluster's OIDC.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to write the policies to.")],
    prefix: Annotated[str, typer.Option("--prefix", help="Of ours in the bucket.")] = "marquee",
    namespace: Annotated[str, typer.Option("--namespace", help="Of the pods.")] = "marquee",
    cluster: Annotated[str, typer.Option("--cluster", help="Of EKS.")] = "marquee",
    kubeflow: Annotated[
        str, typer.Option("--kubeflow", help="Namespace of the pipelines' steps.")
    ] = "kubeflow",
    project: Annotated[str, typer.Option("--project", help="Of Feast: its tables begin so.")] = "marquee",
    repository: Annotated[
        str, typer.Option("--repository", help="Of ECR; images are REPOSITORY/serving and so on.")
    ] = "marquee",
    as_json: AsJson = False,
) -> None:
    """Write the IAM policies of k8s/aws with your own names; asks AWS nothing."""
    from marquee.adapters.aws_policies import Place, write_policies
    from marquee.cli.render import OUT, print_json

    place = Place.of(
        account=account,
        region=region,
        bucket=bucket,
        prefix=prefix,
        github=github,
        oidc=oidc,
        namespace=namespace,
        cluster=cluster,
        kubeflow=kubeflow,
        project=project,
        repository=repository,
    )
    written = write_policies(place, out)
    if as_json:
        print_json([str(file) for file in written])
        return
    for file in written:
        OUT.print(f"[green]✓[/] {file}", soft_wrap=True)
