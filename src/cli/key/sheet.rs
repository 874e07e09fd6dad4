//! `coffer key sheet`: a page to print, which is a key's file itself.

use std::path::PathBuf;

use clap::Args;
use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};

use crate::cli::args::WithConfig;
use crate::cli::error::{CommandError, Result};
use crate::cli::terminal;
use crate::encryption::Identities;

/// How the line with a secret key begins.
const SECRET: &str = "AGE-SECRET-KEY-1";

#[derive(Debug, Args)]
pub(super) struct SheetArgs {
    /// The file of a secret key; `-` reads it from the standard input. A passphrase is asked for, and the sheet has none:
    /// what is printed has to be enough.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    with: WithConfig,
}

pub(super) fn run(args: &SheetArgs) -> Result<()> {
    let (shown, content) = super::content(&args.file)?;
    let content = Identities::unprotected(&shown, content, &super::ask)?;
    let mut identities = Identities::default();
    identities.add(&shown, &content, &super::ask)?;
    let text = String::from_utf8_lossy(&content);
    let secret = text.lines().map(str::trim).find(|line| line.starts_with(SECRET));
    let public = identities.public_keys();
    let (Some(secret), [public]) = (secret, public.as_slice()) else {
        let why = format!(
            "{shown} is not the file of one key of age (coffer key new makes one); a key of OpenSSH is too long to be typed"
        );
        return Err(CommandError::Failed(why));
    };
    let signer = args.with.load_silently().ok().and_then(|it| super::signer(&it).ok()).flatten();
    let signer =
        signer.map_or_else(|| "____________ (coffer key signer)".to_owned(), |it| it.to_string());
    terminal::say(sheet(secret, public, &signer)?);
    terminal::warn(format_args!(
        "this sheet is not tried yet: once it is on paper, type or scan the key from it and give it to: coffer key test -"
    ));
    Ok(())
}

/// The page. All of it is a comment but for the key, so that the whole text can be used as the file of the key.
fn sheet(secret: &str, public: &str, signer: &str) -> Result<String> {
    let code = QrCode::with_error_correction_level(secret, EcLevel::M)
        .map_err(|why| CommandError::Failed(format!("the key cannot be a QR code: {why}")))?;
    let picture = code.render::<Dense1x2>().quiet_zone(true).build();
    let head = format!(
        "Recovery sheet of Coffer\n\
         \n\
         With the key below, the encrypted copies of your backups can be read. Keep this sheet as safe as what they hold.\n\
         Public key: {public}\n\
         Signer:     {signer}\n\
         Made:       ____________   Tried (coffer key test -): ____________\n\
         \n\
         Type or scan the key into a file, such as key.txt; this whole text may be that file too. Then:\n\
         coffer list --from s3://BUCKET/PREFIX --identity key.txt\n\
         coffer restore --signer SIGNER --from s3://BUCKET/PREFIX latest:INSTANCE --identity key.txt --to PATH\n\
         Copies in OpenStack Swift are at swift://CONTAINER/PREFIX instead, those on a disk at its folder.\n\
         Without Coffer, with a full backup's file:\n\
         age -d -i key.txt FILE.tar.zst.age | tar --zstd -xf -\n"
    );
    let comment = |text: &str| {
        let lines = text.lines().map(|line| format!("# {line}").trim_end().to_owned() + "\n");
        lines.collect::<String>()
    };
    Ok(format!("{}\n{secret}\n\n{}", comment(&head), comment(&picture)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encryption::NewIdentity;

    #[test]
    fn the_whole_sheet_is_the_file_of_its_key() {
        let identity = NewIdentity::generate();
        let text = sheet(&identity.secret(), &identity.public(), "nobody").unwrap();
        let mut read = Identities::default();
        read.add("sheet", text.as_bytes(), &|_| None).unwrap();
        assert_eq!(read.public_keys(), [identity.public()]);
        assert!(text.contains("swift://CONTAINER/PREFIX"), "{text}");
        assert!(text.lines().count() > 30 && text.contains('█'), "{text}");
    }
}
