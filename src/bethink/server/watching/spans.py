"""OpenTelemetry traces of requests: one span each, with GenAI's attributes; only where an operator configured a
collector.

The extra `bethink[otel]` brings the packages; they are imported when spans are wanted and not before. A span is made
when its request is over, from the record, so that a slow collector delays nobody. No prompt, answer or key is in it.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

from bethink import __version__
from bethink.errors import ExtraMissing
from bethink.server.record import Record


def open_spans() -> tuple[Callable[[Record], None], Callable[[], None]]:
    """What to tell every finished request, and what to call at the end. Where to send spans is read by OpenTelemetry
    itself, from its own variables (OTEL_EXPORTER_OTLP_ENDPOINT, …_HEADERS, OTEL_SERVICE_NAME, …).

    Raises: ExtraMissing.
    """
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
        raise ExtraMissing(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, and OpenTelemetry is not here", "pip install 'bethink[otel]'"
        )
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.propagate import extract
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.trace import SpanKind, Status, StatusCode

    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: "bethink"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    tracer = provider.get_tracer("bethink", __version__)

    def tell(record: Record) -> None:
        context = extract({"traceparent": record.parent}) if record.parent else None
        name = f"{record.dialect} {record.model}" if record.model else f"{record.method}"
        span = tracer.start_span(name, context, SpanKind.SERVER, start_time=record.began_ns)
        span.set_attributes(attributes(record))
        if record.status >= 500 or record.outcome == "failed":
            span.set_status(Status(StatusCode.ERROR, record.error))
        span.end(record.began_ns + int(record.total_s * 1e9))

    return tell, provider.shutdown


def attributes(record: Record) -> dict[str, str | int | float]:
    """By the semantic conventions for HTTP and for generative AI, where they have a name."""
    values: dict[str, str | int | float] = {
        "http.request.method": record.method,
        "url.path": record.path,
        "http.response.status_code": record.status,
        "bethink.request_id": record.id,
    }
    if record.model:
        values |= {"gen_ai.system": "bethink", "gen_ai.request.model": record.model, "gen_ai.operation.name": "chat"}
    if record.usage is not None:
        values |= {
            "gen_ai.usage.input_tokens": record.usage.prompt_tokens,
            "gen_ai.usage.output_tokens": record.usage.completion_tokens,
            "bethink.usage.thinking_tokens": record.usage.thinking_tokens,
        }
    if record.first_token_s is not None:
        values["gen_ai.server.time_to_first_token"] = record.first_token_s
    if record.error:
        values["error.type"] = record.error
    return values
