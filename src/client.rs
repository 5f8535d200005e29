//! For services and devices: check access tokens alone, and keep a session alive.
