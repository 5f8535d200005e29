//! Compiles `proto/` without protoc: the tonic code, and the descriptor bytes
//! that reflection serves.

use std::{env, error::Error, fs, path::PathBuf};

const PROTOS: [&str; 9] = [
    "rollcall/v1/audit.proto",
    "rollcall/v1/auth.proto",
    "rollcall/v1/error_reason.proto",
    "rollcall/v1/key_admin.proto",
    "rollcall/v1/session.proto",
    "rollcall/v1/session_admin.proto",
    "rollcall/v1/user.proto",
    "rollcall/v1/user_admin.proto",
    "rollcall/v1/verification.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    println!("cargo:rerun-if-changed=migrations");

    let descriptors = protox::compile(PROTOS, ["proto"])?;
    let out_dir = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(
        out_dir.join("descriptors.bin"),
        prost::Message::encode_to_vec(&descriptors),
    )?;

    let mut config = tonic_prost_build::Config::new();
    config.enable_type_names();
    tonic_prost_build::configure()
        .build_server(env::var_os("CARGO_FEATURE_SERVER").is_some())
        .codec_path("crate::proto::Codec")
        // They hold tokens or passwords; src/proto.rs gives them a silent Debug.
        .skip_debug([
            ".rollcall.v1.RegisterRequest",
            ".rollcall.v1.AuthenticateRequest",
            ".rollcall.v1.TokenPair",
            ".rollcall.v1.RefreshRequest",
            ".rollcall.v1.RenewRequest",
            ".rollcall.v1.LogoutRequest",
            ".rollcall.v1.IntrospectRequest",
            ".rollcall.v1.ChangePasswordRequest",
            ".rollcall.v1.ResetPasswordRequest",
            ".rollcall.v1.IssuePasswordResetTokenResponse",
            ".rollcall.v1.ImportUsersRequest",
            ".rollcall.v1.CreateUserRequest",
            ".rollcall.v1.SetPasswordRequest",
        ])
        // The command line shows messages by their descriptors.
        .compile_fds_with_config(descriptors, config)?;
    Ok(())
}
