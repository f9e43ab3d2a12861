"""Lines of JSON are sent as the texts that they are."""

import schemathesis

schemathesis.serializer.alias("application/x-ndjson", "text/plain")
