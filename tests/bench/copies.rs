//! Copies in an S3 store on this machine: what is sent and read beside curl with the same file, and beside restic and
//! rclone to the same store; and the memory of a server that copies to three places.

use std::path::Path;
use std::time::Instant;

use super::measure::{
    Cost, cpu_of, discard, measure, memory_of, mib, output_of, reset_peak, run_shell, settle,
};
use super::options::{COFFER, Options};
use super::s3::{KEYS, S3Server};
use super::server::{PROJECT, Server, at, configure};
use super::table::Results;
use super::{Outcome, data};

const BUCKET: &str = "backups";
const INSTANCE: &str = "shop";
/// The largest source, in MiB.
const MOST_MIB: u64 = 256;

/// Where the copies go to, and what makes and reads them.
struct Bench<'a> {
    folder: &'a Path,
    source: &'a Path,
    store: &'a S3Server,
    /// Before each line of shell.
    keys: String,
}

pub(crate) fn rows(folder: &Path, options: &Options, results: &mut Results) -> Outcome<()> {
    let source = folder.join("bench.db");
    // The store keeps all of it for every round.
    data::make(&source, options.size.mib.min(MOST_MIB))?;
    let store = S3Server::start();
    store.make_bucket(BUCKET);
    let keys = KEYS.map(|(name, value)| format!("export {name}={value}; ")).concat();
    // rclone refuses to begin if it is set, also without TLS.
    let keys = format!("unset AWS_CA_BUNDLE; {keys}");
    let bench = Bench { folder, source: &source, store: &store, keys };
    for round in 0..options.rounds {
        eprintln!("copies: round {} of {}", round + 1, options.rounds);
        bench.round(round, options, results)?;
    }
    Ok(())
}

/// The name of an installed program.
fn is_installed(program: &str) -> bool {
    !output_of(&format!("command -v {program}")).is_empty()
}

impl Bench<'_> {
    fn round(&self, round: u64, options: &Options, results: &mut Results) -> Outcome<()> {
        let (server, id) = self.copied(round, options, results)?;
        let instance = server.instance(INSTANCE)?;
        let name = format!("archives/{PROJECT}/{instance}/{id}.tar.zst");
        let archive = server.data_dir().join(&name);
        let url = format!("{}/{BUCKET}/one-{round}/{name}", self.store.base());
        self.sent_by_others(&archive, round, options, results)?;
        self.restored(&server, &url, round, results)?;
        if !options.only_coffer && is_installed("restic") {
            self.restic(round, results)?;
        }
        Ok(())
    }

    /// A backup, and its copy in one place; then another one that goes to three.
    fn copied(
        &self,
        round: u64,
        options: &Options,
        results: &mut Results,
    ) -> Outcome<(Server, String)> {
        let program = options.programs.first().ok_or("no program")?;
        let mut server = self.server(program, &[&format!("one-{round}")])?;
        let instance = server.instance(INSTANCE)?;
        settle([self.source])?;
        reset_peak(server.pid())?;
        let (started, cpu) = (Instant::now(), cpu_of(server.pid())?);
        let id = server.request_backup(&instance, false)?;
        server.wait_for(&id)?;
        let before_copy = cpu_of(server.pid())?;
        let copied = server.wait_for_copy(&id)?;
        let whole = Cost {
            wall_s: started.elapsed().as_secs_f64(),
            cpu_s: cpu_of(server.pid())? - cpu,
            rss_mib: memory_of(server.pid(), "VmHWM:")?,
            stored_mib: mib(copied.bytes),
        };
        results.cost("copies: first backup in the store, proven", COFFER, whole);
        // The CPU is that of its proof, too.
        let cpu_s = cpu_of(server.pid())? - before_copy;
        let sent = Cost { wall_s: copied.sent_s, cpu_s, ..whole };
        results.cost("copies: an archive sent", COFFER, sent);

        let names = [0, 1, 2].map(|it| format!("three-{round}-{it}"));
        let mut three = self.server(program, &names.each_ref().map(String::as_str))?;
        let instance = three.instance(INSTANCE)?;
        reset_peak(three.pid())?;
        let second = three.request_backup(&instance, false)?;
        three.wait_for(&second)?;
        for _place in 0..names.len() {
            three.wait_for_copy(&second)?;
        }
        let peak = memory_of(three.pid(), "VmHWM:")?;
        results.figure("copies: peak RSS with three places", COFFER, "MiB", peak);
        three.stop()?;
        Ok((server, id))
    }

    /// A server whose backups go to these prefixes of the bucket.
    fn server(&self, program: &super::options::Program, prefixes: &[&str]) -> Outcome<Server> {
        let base = self.store.base();
        let place = |it: &&str| {
            format!(
                "[[places]]\nname = \"{it}\"\ntype = \"s3\"\nendpoint = \"{base}\"\nbucket = \"{BUCKET}\"\nprefix = \"{it}\"\n"
            )
        };
        let settings = format!(
            "[auth]\nmode = \"none\"\n[executor]\nnice = 0\n[defaults]\ncopies = {prefixes:?}\n{}",
            prefixes.iter().map(place).collect::<String>()
        );
        let source = at(self.source);
        let instances = [(INSTANCE, "sqlite", "off", source.as_str())];
        let config =
            configure(self.folder, prefixes.first().ok_or("no place")?, &settings, &instances)?;
        Server::start_with(program, &config, &KEYS)
    }

    /// The same file by other programs.
    fn sent_by_others(
        &self,
        archive: &Path,
        round: u64,
        options: &Options,
        results: &mut Results,
    ) -> Outcome<()> {
        let (file, base, keys) = (archive.display(), self.store.base(), &self.keys);
        let stored_mib = mib(std::fs::metadata(archive)?.len());
        let row = "copies: an archive sent";
        settle([archive])?;
        let cost = measure(&format!("curl -sf -T '{file}' {base}/{BUCKET}/curl-{round}"))?;
        results.cost(row, "curl", Cost { stored_mib, ..cost });
        if !options.only_coffer && is_installed("rclone") {
            settle([archive])?;
            let remote =
                format!(":s3,provider=Other,env_auth,endpoint='{base}',no_check_bucket:{BUCKET}");
            let line = format!("{keys}rclone copyto '{file}' \"{remote}/rclone-{round}\"");
            results.cost(row, "rclone", Cost { stored_mib, ..measure(&line)? });
        }
        Ok(())
    }

    /// From the store alone.
    fn restored(
        &self,
        server: &Server,
        url: &str,
        round: u64,
        results: &mut Results,
    ) -> Outcome<()> {
        let (target, keys) = (self.folder.join("restored"), &self.keys);
        let row = "copies: restore from the store";
        let to = target.display();
        let (program, config) = server.as_command();
        let line = format!(
            "{keys}'{program}' restore --from one-{round} latest:{INSTANCE} --check off --to '{to}' --config '{config}'"
        );
        settle([])?;
        results.cost(row, COFFER, measure(&line)?);
        discard(&target)?;
        settle([])?;
        // The server takes any signature, and none only for what is public.
        let signed = "-H 'Authorization: AWS test:signature'";
        let cost = measure(&format!("curl -sf {signed} {url} | zstd -dc >'{to}' && sync '{to}'"))?;
        results.cost(row, "curl", cost);
        discard(&target)
    }

    fn restic(&self, round: u64, results: &mut Results) -> Outcome<()> {
        let base = self.store.base();
        let target = self.folder.join("restic-restored");
        let restic = format!(
            "{}export RESTIC_PASSWORD=bench; restic --no-cache -q -r s3:{base}/{BUCKET}/restic-{round}",
            self.keys
        );
        run_shell(&format!("{restic} init >/dev/null"))?;
        settle([self.source])?;
        let backup = measure(&format!("{restic} backup '{}'", self.source.display()))?;
        results.cost("copies: first backup in the store, proven", "restic", backup);
        settle([])?;
        let restore = measure(&format!("{restic} restore latest --target '{}'", target.display()))?;
        results.cost("copies: restore from the store", "restic", restore);
        discard(&target)
    }
}
