//! The description of all routes in OpenAPI 3.1, made from the table of routes itself.

use serde_json::{Map, Value, json};

use super::route::{Named, Route, collect};
use crate::front::snapshot_json::ProblemJson;

/// The OpenAPI document of these routes.
pub(super) fn describe(routes: &[Route], version: &str) -> Value {
    let mut schemas = Vec::new();
    collect::<ProblemJson>(&mut schemas);
    let mut paths = Map::new();
    for route in routes {
        let operations = route.operations.iter().map(|operation| (operation.method.to_owned(), operation.describe(&mut schemas)));
        paths.insert(route.path.to_owned(), Value::Object(operations.collect()));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Lunamoth",
            "version": version,
            "summary": "A load test's master",
            "description": DESCRIPTION,
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        // Relative to where this document is, under whatever prefix.
        "servers": [{ "url": "../.." }],
        "tags": [
            { "name": V1, "description": "The API of Lunamoth's own." },
            { "name": LOCUST, "description": "What speaks to Locust speaks to these." },
            { "name": MONITORING, "description": "Probes and metrics." },
            { "name": PAGE, "description": "For browsers." },
        ],
        "security": [{}, { "bearer": [] }, { "cookie": [] }],
        "paths": paths,
        "components": {
            "schemas": components(schemas),
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer", "description": "The token of --web-token, where one is set." },
                "cookie": { "type": "apiKey", "in": "cookie", "name": "lunamoth_token", "description": "The same, as a login sets it." },
            },
        },
    })
}

pub(super) const V1: &str = "v1";
pub(super) const LOCUST: &str = "locust";
pub(super) const MONITORING: &str = "monitoring";
pub(super) const PAGE: &str = "page";

/// Every key is always sent. The types say otherwise, since their readers take what is missing as empty.
fn components(schemas: Vec<Named>) -> Map<String, Value> {
    let mut components = Map::new();
    for (name, schema) in schemas {
        let mut schema = serde_json::to_value(schema).unwrap_or_default();
        require_all(&mut schema);
        components.insert(name, schema);
    }
    components.sort_keys();
    components
}

fn require_all(schema: &mut Value) {
    if let Some(parts) = schema.get_mut("allOf").and_then(Value::as_array_mut) {
        parts.iter_mut().for_each(require_all);
    }
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        // The one key that is left out where it says nothing.
        let names: Vec<_> = properties.keys().filter(|name| *name != "field").cloned().collect();
        schema["required"] = json!(names);
    }
}

const DESCRIPTION: &str = "Keys end with their unit. Every refusal is a problem document (RFC 9457) whose `field` names the parameter at \
    fault, where one is; Locust's routes answer refusals as Locust does. Every route stands under the path prefix, too. Requests that change \
    the run are refused when a browser sends them for another site.";
