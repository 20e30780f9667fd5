"""The version, said in one place."""

VERSION = "0.1.0"
USER_AGENT = f"opencode-gateway/{VERSION}"
