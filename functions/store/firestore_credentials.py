"""Who this place is to Google: a service account, or a person who has logged in."""

import google.auth
import grpc  # type: ignore[import-untyped]  # it ships no types
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.grpc import AuthMetadataPlugin
from google.auth.transport.requests import Request

from functions.errors import StoreError

# For accounts that must name some. A person's login keeps what it was given; a key file signs for itself.
SCOPES = ("https://www.googleapis.com/auth/cloud-platform", "https://www.googleapis.com/auth/datastore")


def credentials(host: str) -> grpc.ChannelCredentials:
    """TLS, and with each call a token of this place's own, which is renewed in a thread when it ends.

    Args:
        host: Who is called; a key file signs its tokens for it, and needs nobody else.

    Raises:
        StoreError: There are no credentials.
    """
    try:
        found, _ = google.auth.default(default_scopes=SCOPES)
    except GoogleAuthError:
        raise StoreError(
            "No Google credentials: give the function a service account, run "
            "`gcloud auth application-default login`, or set FIRESTORE_EMULATOR_HOST"
        ) from None  # the cause names files of this machine
    plugin = AuthMetadataPlugin(found, Request(), default_host=host)  # type: ignore[no-untyped-call]  # it has no types
    return grpc.composite_channel_credentials(
        grpc.ssl_channel_credentials(), grpc.metadata_call_credentials(plugin)
    )
