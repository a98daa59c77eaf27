//! Values that are found by their type, so that whoever keeps them need not know whose they are: what a worker, a lane and a user keep of
//! the libraries.

use std::any::{Any, TypeId};
use std::fmt::Debug;

/// Keeps at most one value of a type.
pub trait TypeMap: Debug {
    /// The value of this type, where there is one.
    fn find(&self, wanted: TypeId) -> Option<&dyn Any>;
}

/// The value of a type that is there.
///
/// # Panics
/// It is not: the table of libraries lacks the type in the row of its library.
#[inline]
pub fn of_type<T: Any>(map: &(impl TypeMap + ?Sized)) -> &T {
    match map.find(TypeId::of::<T>()).and_then(<dyn Any>::downcast_ref) {
        Some(found) => found,
        None => panic!("no library keeps `{}`", std::any::type_name::<T>()),
    }
}
