//! What rules decide, and that the explanation says the same.

mod agree;
mod decide;
mod facts;
