//! What a route is: its path, and for each method what answers and how the description (`openapi`) tells of it. Both are said in one place,
//! so that what is described is what is there.

use std::sync::Arc;

use axum::handler::Handler;
use axum::routing::{MethodFilter, MethodRouter};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::reply::{JSON, PROBLEM};
use super::shared::Api;
use crate::front::snapshot_json::ProblemJson;

/// A path with all that it answers.
#[derive(Debug)]
pub(super) struct Route {
    /// Without what stands before every route.
    pub path: &'static str,
    pub router: MethodRouter<Arc<Api>>,
    pub operations: Vec<Operation>,
}

impl Route {
    pub fn at(path: &'static str) -> Self {
        Self { path, router: MethodRouter::new(), operations: Vec::new() }
    }

    pub fn get<H: Handler<T, Arc<Api>>, T: 'static>(self, handler: H, operation: Operation) -> Self {
        self.on(MethodFilter::GET, "get", handler, operation)
    }

    pub fn post<H: Handler<T, Arc<Api>>, T: 'static>(self, handler: H, operation: Operation) -> Self {
        self.on(MethodFilter::POST, "post", handler, operation)
    }

    pub fn patch<H: Handler<T, Arc<Api>>, T: 'static>(self, handler: H, operation: Operation) -> Self {
        self.on(MethodFilter::PATCH, "patch", handler, operation)
    }

    fn on<H: Handler<T, Arc<Api>>, T: 'static>(
        mut self,
        filter: MethodFilter,
        method: &'static str,
        handler: H,
        operation: Operation,
    ) -> Self {
        self.router = self.router.on(filter, handler);
        self.operations.push(Operation { method, ..operation });
        self
    }
}

/// What a method of a route does, for people and for programs that are made from its description.
#[derive(Debug)]
pub(super) struct Operation {
    /// As OpenAPI writes it; the route sets it.
    pub method: &'static str,
    /// Unique among all operations.
    pub id: &'static str,
    pub tag: &'static str,
    pub summary: &'static str,
    parameters: Vec<Value>,
    body: Option<Value>,
    answers: Map<String, Value>,
    /// Adds the schemas that answers refer to.
    collect: Vec<fn(&mut Vec<Named>)>,
}

/// A schema and its name.
pub(super) type Named = (String, utoipa::openapi::RefOr<utoipa::openapi::Schema>);

impl Operation {
    /// Something that shows and changes nothing, and that whoever asks may see, by whatever name he calls this machine.
    pub fn probe(tag: &'static str, id: &'static str, summary: &'static str) -> Self {
        let operation = Self { method: "", id, tag, summary, parameters: Vec::new(), body: None, answers: Map::new(), collect: Vec::new() };
        operation
            .problem(400, "A parameter, or the request itself, cannot be read.")
            .problem(413, "The body is too large.")
            .problem(500, "A bug of Lunamoth's.")
    }

    /// Something that shows and changes nothing.
    pub fn show(tag: &'static str, id: &'static str, summary: &'static str) -> Self {
        Self::probe(tag, id, summary).problem(403, "The request calls this machine by a name that is not its own.")
    }

    /// Something that changes the run.
    pub fn act(tag: &'static str, id: &'static str, summary: &'static str) -> Self {
        Self::show(tag, id, summary)
            .problem(403, "The request comes from another site, or calls this machine by a name that is not its own.")
            .problem(503, "The master is ending, or has not answered in time.")
    }

    /// A parameter in the query.
    pub fn query(mut self, name: &'static str, description: &'static str, schema: Value) -> Self {
        self.parameters.push(json!({ "name": name, "in": "query", "required": false, "description": description, "schema": schema }));
        self
    }

    /// The body of the request, by media type.
    pub fn body(mut self, kinds: &[&str], schema: Value) -> Self {
        let content: Map<_, _> = kinds.iter().map(|kind| ((*kind).to_owned(), json!({ "schema": schema }))).collect();
        self.body = Some(json!({ "required": false, "content": content }));
        self.problem(408, "The body took too long.").problem(415, "The body is of none of these media types.")
    }

    /// An answer with a body of JSON.
    pub fn json<T: ToSchema>(mut self, status: u16, description: &str) -> Self {
        self.answer(status, description, JSON, reference::<T>());
        self.collect.push(collect::<T>);
        self
    }

    /// An answer with a body of JSON that no type stands for.
    pub fn value(mut self, status: u16, description: &str, schema: Value) -> Self {
        self.answer(status, description, JSON, schema);
        self
    }

    /// An answer with another body.
    pub fn text(mut self, status: u16, kind: &str, description: &str) -> Self {
        self.answer(status, description, kind, json!({ "type": "string" }));
        self
    }

    /// An answer that refuses, as a problem document.
    pub fn problem(mut self, status: u16, description: &str) -> Self {
        self.answer(status, description, PROBLEM, reference::<ProblemJson>());
        self
    }

    fn answer(&mut self, status: u16, description: &str, kind: &str, schema: Value) {
        // `; charset=utf-8` is no part of what is compared.
        let kind = kind.split(';').next().unwrap_or(kind);
        self.answers.insert(status.to_string(), json!({ "description": description, "content": { kind: { "schema": schema } } }));
    }

    /// As OpenAPI writes it. Adds the schemas that it refers to.
    pub fn describe(&self, schemas: &mut Vec<Named>) -> Value {
        for collect in &self.collect {
            collect(schemas);
        }
        let mut described = json!({
            "operationId": self.id, "tags": [self.tag], "summary": self.summary, "parameters": self.parameters, "responses": self.answers,
        });
        if let Some(body) = &self.body {
            described["requestBody"] = body.clone();
        }
        described
    }
}

/// Adds a type's schema, and those that it refers to.
pub(super) fn collect<T: ToSchema>(schemas: &mut Vec<Named>) {
    schemas.push((T::name().into_owned(), T::schema()));
    T::schemas(schemas);
}

fn reference<T: ToSchema>() -> Value {
    json!({ "$ref": format!("#/components/schemas/{}", T::name()) })
}
