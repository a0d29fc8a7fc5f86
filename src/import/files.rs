//! Files of other tools, which say who owns what.

use std::path::{Path, PathBuf};

use wi_client::files;
use wi_core::import::{FileKind, Owners, documents};

/// The most bytes of one file: states of Terraform are large.
const LARGEST: u64 = 256 << 20;

/// Reads them; `-` is standard input. `kinds` says of what kinds they may be; none: of any.
///
/// # Errors
///
/// For the user, without any word of a file: it may hold secrets.
pub fn owners(paths: &[PathBuf], kinds: &[FileKind]) -> Result<Owners, String> {
    let mut owners = Owners::default();
    for path in paths {
        let name = path.display();
        let bytes = match path.as_path() == Path::new("-") {
            true => files::read_at_most(std::io::stdin().lock(), LARGEST),
            false => files::read(path, LARGEST),
        };
        let bytes = bytes.map_err(|e| format!("cannot read {name}: {e}"))?;
        let text = String::from_utf8(bytes).map_err(|_| format!("{name} is no text"))?;
        let kind = documents(&text).and_then(|all| owners.take_in(&all));
        let kind = kind.map_err(|why| format!("{name}: {why}"))?;
        if !kinds.is_empty() && !kinds.contains(&kind) {
            let what = match kind {
                FileKind::State => "a state of Terraform (--from tfstate)",
                FileKind::Shown => "what `terraform show -json` prints (--from tfjson)",
                FileKind::Manifests => "manifests (--from kcc)",
            };
            return Err(format!("{name} is {what}, and --from does not have that"));
        }
    }
    Ok(owners)
}
