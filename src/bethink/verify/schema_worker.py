"""The process that validates for `bethink.verify.schema`: it is one of its own because a pattern in a schema can take
forever, and nothing but a kill ends that. It reads no schema from anywhere: a reference must lead inside the
schema it is given, or to a published draft, which the library holds."""

from __future__ import annotations

import json
import sys
from typing import Any

from jsonschema.exceptions import SchemaError
from jsonschema.validators import validator_for
from jsonschema_specifications import REGISTRY
from referencing.exceptions import Unresolvable

from bethink.verify.process import limit_memory

MAX_ERRORS = 5


def main() -> None:
    answers, sys.stdout = sys.stdout, sys.stderr
    limit_memory()
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for line in sys.stdin:
        question = json.loads(line)
        print(json.dumps(_validate(question["schema"], question["value"])), file=answers, flush=True)


def _validate(schema: Any, value: Any) -> dict[str, object]:
    try:
        kind: Any = validator_for(schema)
        kind.check_schema(schema)
        errors = sorted(
            kind(schema, registry=REGISTRY).iter_errors(value), key=lambda error: list(map(str, error.path))
        )
    except SchemaError as error:
        return {"invalid": f"{error.json_path}: {error.message}"}
    except Unresolvable as error:
        return {"invalid": f"the reference {error.ref!r} leads out of the schema, and nothing is fetched"}
    except Exception as error:  # noqa: BLE001  a foreign schema in a foreign library: whatever it raises, nothing was shown to hold
        return {"invalid": f"{type(error).__name__}: {error}"[:500]}
    return {"errors": [f"{error.json_path}: {error.message[:300]}" for error in errors[:MAX_ERRORS]], "n": len(errors)}


if __name__ == "__main__":
    main()
