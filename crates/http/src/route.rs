//! One row of the table of routes: what is called, what it takes and gives, and who answers.

use crate::openapi::BASE;
use crate::server::App;
use axum::handler::Handler;
use axum::http::StatusCode;
use axum::routing::{MethodFilter, MethodRouter, on};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

pub(crate) type Describe = fn(&mut SchemaGenerator) -> Schema;

/// Whose words a route speaks; the two families differ in where they lie and in how they decline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// Larder's own, below `/api/v1`.
    Larder,
    /// RavenDB's, where its clients look for them.
    Raven,
}

/// A parameter behind the question mark.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) required: bool,
    pub(crate) schema: Describe,
}

/// One route, as the router and the document both need it.
pub(crate) struct Route {
    pub(crate) family: Family,
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    /// Names the route for generated clients; unique.
    pub(crate) id: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) query: Vec<Parameter>,
    pub(crate) request: Option<Describe>,
    pub(crate) status: StatusCode,
    pub(crate) response: Option<(&'static str, Describe)>,
    pub(crate) handler: MethodRouter<App>,
}

fn describe<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

impl Route {
    fn new(method: &'static str, path: &'static str, id: &'static str, summary: &'static str) -> Self {
        Self {
            family: Family::Larder,
            method,
            path,
            id,
            summary,
            query: Vec::new(),
            request: None,
            status: StatusCode::OK,
            response: None,
            handler: MethodRouter::new(),
        }
    }

    pub(crate) fn get(path: &'static str, id: &'static str, summary: &'static str) -> Self {
        Self::new("get", path, id, summary)
    }

    pub(crate) fn put(path: &'static str, id: &'static str, summary: &'static str) -> Self {
        Self::new("put", path, id, summary)
    }

    pub(crate) fn post(path: &'static str, id: &'static str, summary: &'static str) -> Self {
        Self::new("post", path, id, summary)
    }

    pub(crate) fn delete(path: &'static str, id: &'static str, summary: &'static str) -> Self {
        Self::new("delete", path, id, summary)
    }

    /// Says that the route is one of RavenDB's, so that its path is whole as it stands.
    pub(crate) fn of_raven(mut self) -> Self {
        self.family = Family::Raven;
        self
    }

    /// Adds a parameter behind the question mark that may be left out.
    pub(crate) fn asks<T: JsonSchema>(mut self, name: &'static str, summary: &'static str) -> Self {
        self.query.push(Parameter { name, summary, required: false, schema: describe::<T> });
        self
    }

    /// Adds a parameter behind the question mark that must be there.
    pub(crate) fn needs<T: JsonSchema>(mut self, name: &'static str, summary: &'static str) -> Self {
        self.query.push(Parameter { name, summary, required: true, schema: describe::<T> });
        self
    }

    pub(crate) fn takes<T: JsonSchema>(mut self) -> Self {
        self.request = Some(describe::<T>);
        self
    }

    pub(crate) fn gives<T: JsonSchema>(mut self) -> Self {
        self.response = Some(("application/json", describe::<T>));
        self
    }

    /// Says that it answers with 201.
    pub(crate) fn creates<T: JsonSchema>(mut self) -> Self {
        self.status = StatusCode::CREATED;
        self.gives::<T>()
    }

    /// Says that it answers before the work is done.
    pub(crate) fn accepts<T: JsonSchema>(mut self) -> Self {
        self.status = StatusCode::ACCEPTED;
        self.gives::<T>()
    }

    pub(crate) fn gives_nothing(mut self) -> Self {
        self.status = StatusCode::NO_CONTENT;
        self
    }

    pub(crate) fn streams<T: JsonSchema>(mut self) -> Self {
        self.response = Some(("text/event-stream", describe::<T>));
        self
    }

    /// Says that it answers with a file.
    pub(crate) fn downloads(mut self, media: &'static str) -> Self {
        self.response = Some((media, |_| json_schema!({ "type": "string", "format": "binary" })));
        self
    }

    pub(crate) fn by<H, T>(mut self, handler: H) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        let filter = match self.method {
            "put" => MethodFilter::PUT,
            "post" => MethodFilter::POST,
            "delete" => MethodFilter::DELETE,
            _ => MethodFilter::GET,
        };
        self.handler = on(filter, handler);
        self
    }

    /// Says that it becomes a websocket that sends such texts.
    pub(crate) fn becomes_socket<T: JsonSchema>(mut self) -> Self {
        self.status = StatusCode::SWITCHING_PROTOCOLS;
        self.gives::<T>()
    }

    /// Returns the whole path.
    pub(crate) fn address(&self) -> String {
        match self.family {
            Family::Larder => format!("{BASE}{}", self.path),
            Family::Raven => self.path.to_owned(),
        }
    }

    /// Returns the names between braces in the address.
    pub(crate) fn path_parameters(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    }
}
