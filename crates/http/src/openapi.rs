//! The OpenAPI document, made from the table of routes and the types that the routes take and give.

use crate::answer::ErrorBody;
use crate::api;
use crate::raven;
use crate::raven::failure::FailureBody;
use crate::route::{Family, Route};
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// Where every route lies.
pub(crate) const BASE: &str = "/api/v1";

/// Returns every route of both families.
pub(crate) fn routes() -> Vec<Route> {
    let mut routes = api::routes();
    routes.extend(raven::routes());
    routes
}

/// Returns the OpenAPI 3.1 document of everything below `/api/v1`, and of what RavenDB's clients ask.
#[must_use]
pub fn document() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    let mut generator = settings.into_generator();
    let declined = generator.subschema_for::<ErrorBody>().to_value();
    let failed = generator.subschema_for::<FailureBody>().to_value();
    let mut paths: Map<String, Value> = Map::new();
    for route in routes() {
        let error = match route.family {
            Family::Larder => &declined,
            Family::Raven => &failed,
        };
        let operation = operation(&route, &mut generator, error);
        let path = paths.entry(route.address()).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(route.method.to_owned(), operation);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Larder",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Everything the server does. Below /api/v1 errors are {\"Error\":{\"Kind\",\"Message\"}} with a fitting status; everywhere else routes, statuses and errors are RavenDB's, so that its clients work.",
        },
        "tags": [
            { "name": "Larder", "description": "Larder's own words." },
            { "name": "RavenDB", "description": "What RavenDB's clients ask; 500 is also their answer to a wrong request." },
        ],
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
        },
        "security": [{}, { "token": [] }],
    })
}

fn operation(route: &Route, generator: &mut SchemaGenerator, error: &Value) -> Value {
    let mut parameters: Vec<Value> = route
        .path_parameters()
        .map(|name| {
            let schema = if name == "id" && !route.path.contains("/backups/") {
                json!({ "type": "integer", "minimum": 1 })
            } else {
                json!({ "type": "string" })
            };
            json!({ "name": name, "in": "path", "required": true, "schema": schema })
        })
        .collect();
    for parameter in &route.query {
        let schema = (parameter.schema)(generator).to_value();
        parameters.push(json!({
            "name": parameter.name, "in": "query", "description": parameter.summary,
            "required": parameter.required, "schema": schema,
        }));
    }
    let mut success = json!({ "description": "Done." });
    if let Some((media, describe)) = route.response {
        success["content"] = json!({ media: { "schema": describe(generator).to_value() } });
    }
    let mut operation = json!({
        "operationId": route.id,
        "tags": [match route.family { Family::Larder => "Larder", Family::Raven => "RavenDB" }],
        "summary": route.summary,
        "parameters": parameters,
        "responses": {
            route.status.as_str(): success,
            "default": {
                "description": "Declined; the message says why and what to do.",
                "content": { "application/json": { "schema": error } },
            },
        },
    });
    if let Some(describe) = route.request {
        operation["requestBody"] =
            json!({ "content": { "application/json": { "schema": describe(generator).to_value() } } });
    }
    if route.id == "health" {
        operation["security"] = json!([]);
    }
    operation
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
        match value {
            Value::Object(object) => {
                for (key, value) in object {
                    match value {
                        Value::String(target) if key == "$ref" => {
                            found.insert(target);
                        }
                        _ => references(value, found),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }

    #[test]
    fn every_route_is_in_the_document_under_a_name_of_its_own() {
        let document = document();
        let mut names = BTreeSet::new();
        for route in routes() {
            let operation = &document["paths"][route.address()][route.method];
            assert_eq!(operation["operationId"], route.id, "{} {}", route.method, route.path);
            assert!(names.insert(route.id), "two routes are called {}", route.id);
            assert!(route.summary.ends_with('.'), "{} has no sentence", route.id);
        }
        assert!(names.len() > 25);
    }

    #[test]
    fn every_type_that_is_referred_to_is_described() {
        let document = document();
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        assert!(found.contains("#/components/schemas/DatabaseView"), "{found:?}");
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
        }
    }

    #[test]
    fn durations_and_names_are_texts() {
        let document = document();
        for name in ["TimeSpan", "DatabaseName", "BackupId"] {
            assert_eq!(document["components"]["schemas"][name]["type"], "string", "{name}");
        }
    }
}
