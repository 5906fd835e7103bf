//! `/api/people`: who may sign in, and what they may do.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use sync_protocol::{UnitId, unit::Unit};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    ApiError,
    caller::{Asker, Body, Path},
};
use crate::{
    Server,
    auth::{Permission, Role},
    people::{self, PeopleError, Profile},
    store::{Person, PersonId},
};

pub(super) fn routes() -> OpenApiRouter<Arc<Server>> {
    OpenApiRouter::new().routes(routes!(list, add)).routes(routes!(change)).routes(routes!(reset))
}

/// A person, for an administrator.
#[derive(Serialize, ToSchema)]
struct KnownPerson {
    /// Their id.
    id: String,
    /// What they sign in with.
    name: String,
    /// As changes name them.
    full_name: String,
    /// What they are.
    role: Role,
    /// Id of the unit at the top of what they see.
    unit: String,
    /// Whether they are a named handler of restricted data.
    is_handler: bool,
    /// They may not sign in any more.
    is_disabled: bool,
    /// Whether a one-time code is asked for.
    has_totp: bool,
}

impl From<&Person> for KnownPerson {
    fn from(person: &Person) -> Self {
        Self {
            id: person.id.to_string(),
            name: person.name.clone(),
            full_name: person.full_name.clone(),
            role: person.role,
            unit: person.unit.to_string(),
            is_handler: person.is_handler,
            is_disabled: person.is_disabled,
            has_totp: person.has_totp,
        }
    }
}

/// A first password, shown once.
#[derive(Serialize, ToSchema)]
struct WithPassword {
    /// The person.
    person: KnownPerson,
    /// To be changed at the first sign-in.
    password: String,
}

/// Everybody.
#[utoipa::path(get, path = "/api/people", tag = "people", responses((status = 200, body = Vec<KnownPerson>)))]
async fn list(State(server): State<Arc<Server>>, Asker(caller): Asker) -> Result<Json<Vec<KnownPerson>>, ApiError> {
    caller.may(Permission::ManagePeople)?;
    Ok(Json(server.store.people().everybody().await?.iter().map(KnownPerson::from).collect()))
}

#[derive(Deserialize, ToSchema)]
struct NewPerson {
    /// What they sign in with.
    name: String,
    /// As changes name them.
    full_name: String,
    /// What they are.
    role: Role,
    /// Id of the unit at the top of what they see.
    unit: String,
    /// Whether they are a named handler of restricted data.
    #[serde(default)]
    is_handler: bool,
}

/// Add somebody.
#[utoipa::path(post, path = "/api/people", tag = "people", request_body = NewPerson,
    responses((status = 201, body = WithPassword)))]
async fn add(
    State(server): State<Arc<Server>>,
    Asker(caller): Asker,
    Body(new): Body<NewPerson>,
) -> Result<(StatusCode, Json<WithPassword>), ApiError> {
    caller.may(Permission::ManagePeople)?;
    let unit = unit(&server, &new.unit).await?;
    let profile = Profile { full_name: new.full_name, role: new.role, unit, is_handler: new.is_handler };
    let (person, password) = people::add(&server, &new.name, &profile, &caller).await?;
    Ok((StatusCode::CREATED, Json(WithPassword { person: KnownPerson::from(&person), password })))
}

#[derive(Deserialize, ToSchema)]
struct ChangedPerson {
    /// As changes name them.
    full_name: String,
    /// What they are.
    role: Role,
    /// Id of the unit at the top of what they see.
    unit: String,
    /// Whether they are a named handler of restricted data.
    is_handler: bool,
    /// They may not sign in any more; their devices are revoked.
    is_disabled: bool,
}

/// Say anew what somebody may do.
#[utoipa::path(put, path = "/api/people/{id}", tag = "people", params(("id" = String, Path)), request_body = ChangedPerson,
    responses((status = 200, body = KnownPerson)))]
async fn change(
    State(server): State<Arc<Server>>,
    Asker(caller): Asker,
    Path(id): Path<String>,
    Body(changed): Body<ChangedPerson>,
) -> Result<Json<KnownPerson>, ApiError> {
    caller.may(Permission::ManagePeople)?;
    let person = person(&server, &id).await?;
    let unit = unit(&server, &changed.unit).await?;
    let ChangedPerson { full_name, role, is_handler, is_disabled, .. } = changed;
    let profile = Profile { full_name, role, unit, is_handler };
    let person = people::change(&server, person, &profile, is_disabled, &caller).await?;
    Ok(Json(KnownPerson::from(&person)))
}

/// Give somebody a new first password.
#[utoipa::path(post, path = "/api/people/{id}/password", tag = "people", params(("id" = String, Path)),
    responses((status = 200, body = WithPassword)))]
async fn reset(
    State(server): State<Arc<Server>>,
    Asker(caller): Asker,
    Path(id): Path<String>,
) -> Result<Json<WithPassword>, ApiError> {
    caller.may(Permission::ManagePeople)?;
    let person = person(&server, &id).await?;
    let password = people::reset(&server, &person, &caller).await?;
    Ok(Json(WithPassword { person: KnownPerson::from(&person), password }))
}

async fn person(server: &Server, id: &str) -> Result<Person, ApiError> {
    let id: PersonId = id.parse().map_err(|_| ApiError::NotFound)?;
    server.store.people().person(id).await?.ok_or(ApiError::NotFound)
}

async fn unit(server: &Server, id: &str) -> Result<Unit, ApiError> {
    let known = match id.parse::<UnitId>() {
        Ok(id) => server.store.unit(id).await?,
        Err(_) => None,
    };
    known.ok_or_else(|| ApiError::BadRequest("没有这个单位 | no such unit".into()))
}

impl From<PeopleError> for ApiError {
    fn from(error: PeopleError) -> Self {
        match error {
            PeopleError::Store(error) => error.into(),
            PeopleError::NameTaken(_) | PeopleError::LastAdministrator | PeopleError::Changed => {
                ApiError::Conflict(error.to_string())
            }
            PeopleError::Name | PeopleError::Handler(_) | PeopleError::CountyOnly(_) | PeopleError::Weak(_) => {
                ApiError::BadRequest(error.to_string())
            }
        }
    }
}
