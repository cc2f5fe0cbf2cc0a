mod oidc;
mod tokens;
