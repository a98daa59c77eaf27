//! Tests of scripts as a whole, by what they see and what is counted.

mod acts;
mod bounds;
mod ends;
mod equivalents;
mod life;
mod loading;
mod profiles;
mod sandbox;
