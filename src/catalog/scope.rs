//! Proof that a caller may do something in a project. Methods that serve requests ask for it, so that no
//! handler can forget the check. Methods without it are for jobs and commands.

use std::marker::PhantomData;
use std::sync::Arc;

use crate::domain::{Actor, Caller, Origin, ProjectId};

use super::{Forbidden, Result};

pub trait Permission: Copy + Send + Sync + Unpin + 'static {
    /// Whether the caller's roles allow this access, in a project that it may enter.
    fn allows(caller: &Caller) -> bool;
    /// Its name, for messages.
    const ACTION: &'static str;
}

/// To read the project's rows.
#[derive(Debug, Clone, Copy)]
pub struct Read;
/// To create, delete and restore.
#[derive(Debug, Clone, Copy)]
pub struct Write;
/// To set quotas and see every project.
#[derive(Debug, Clone, Copy)]
pub struct Admin;

impl Permission for Read {
    fn allows(_caller: &Caller) -> bool {
        true
    }
    const ACTION: &'static str = "read";
}

impl Permission for Write {
    fn allows(caller: &Caller) -> bool {
        caller.may_write()
    }
    const ACTION: &'static str = "write";
}

impl Permission for Admin {
    fn allows(caller: &Caller) -> bool {
        caller.is_admin()
    }
    const ACTION: &'static str = "admin";
}

/// A caller in a project, allowed to do `P` there.
#[derive(Debug, Clone)]
pub struct Scope<P> {
    caller: Arc<Caller>,
    project: ProjectId,
    origin: Origin,
    permission: PhantomData<P>,
}

impl<P: Permission> Scope<P> {
    /// Lets the caller into the project of the path, if it may do `P` there.
    pub fn enter(caller: impl Into<Arc<Caller>>, project: ProjectId) -> Result<Self> {
        let caller = caller.into();
        // Only with `auth.mode = "none"` does a caller have no project; it may enter each.
        let own = caller.project.as_ref().is_none_or(|own| *own == project);
        if !own && !caller.is_admin() {
            return Err(Forbidden::OtherPath.into());
        }
        if !P::allows(&caller) {
            return Err(Forbidden::Role(P::ACTION).into());
        }
        Ok(Self { caller, project, origin: Origin::Server, permission: PhantomData })
    }

    /// The same caller in the same project, if it may do `Q` there too.
    pub fn also<Q: Permission>(&self) -> Result<Scope<Q>> {
        let scope = Scope::enter(Arc::clone(&self.caller), self.project.clone())?;
        Ok(scope.with_origin(self.origin))
    }

    /// The same caller, whose request comes from there. Without this it is the server itself.
    #[must_use]
    pub fn with_origin(self, origin: Origin) -> Self {
        Self { origin, ..self }
    }

    /// Who asks, as the event log names it.
    pub fn actor(&self) -> Actor {
        Actor { who: self.caller.name.clone(), origin: self.origin }
    }

    pub fn project(&self) -> &ProjectId {
        &self.project
    }

    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Whether rows of this project may be seen: the scope's own, or any for an administrator.
    pub fn covers(&self, project: &ProjectId) -> bool {
        self.project == *project || self.caller.is_admin()
    }
}
