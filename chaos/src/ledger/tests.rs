//! Made-up evidence.
