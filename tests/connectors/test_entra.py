"""A tenant of Microsoft Entra stands for the token address and the scope of each of Microsoft's services."""

import pytest

from service.connectors.odata.business_central import BusinessCentralDialect
from service.connectors.odata.dataverse import DataverseDialect
from service.connectors.odata.entra import EntraDialect

GIVEN = {"auth": "clientCredentials", "tenant": "contoso"}


@pytest.mark.parametrize(
    ("dialect", "url", "scope"),
    [
        (
            DataverseDialect(),
            "https://org.crm4.dynamics.com/api/data/v9.2/",
            "https://org.crm4.dynamics.com/.default",
        ),
        (
            BusinessCentralDialect(),
            "https://api.businesscentral.dynamics.com/v2.0/production/api/v2.0/",
            "https://api.businesscentral.dynamics.com/.default",
        ),
    ],
)
def test_a_tenant_is_enough(dialect: EntraDialect, url: str, scope: str) -> None:
    filled = dialect.filled({**GIVEN, "url": url})
    assert filled["tokenUrl"] == "https://login.microsoftonline.com/contoso/oauth2/v2.0/token"
    assert filled["scope"] == scope


def test_what_is_said_itself_stands() -> None:
    said = {**GIVEN, "url": "https://org.crm4.dynamics.com/", "tokenUrl": "https://login.example.com/token"}
    assert DataverseDialect().filled(said) == said
    without = {name: value for name, value in said.items() if name not in ("tenant", "tokenUrl")}
    assert DataverseDialect().required(without) == ("tenant",)
    elsewhere = {**GIVEN, "url": "https://org.crm4.dynamics.com/", "authority": "https://login.example.com/"}
    assert DataverseDialect().filled(elsewhere)["tokenUrl"].startswith("https://login.example.com/contoso/")
