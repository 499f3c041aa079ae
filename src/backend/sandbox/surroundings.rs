//! What a command needs to read beside what every program does: where it is installed, and the projects of the
//! files that it names. That is found from the command line alone, so a place that holds more than one project,
//! such as somebody's home, is never opened as a whole: of what lies right there, the file alone is.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::reach;

/// Places that hold more than one project.
#[derive(Debug, Default)]
pub(super) struct Common {
    homes: Vec<PathBuf>,
    others: Vec<PathBuf>,
}

/// Where many leave something, or secrets are. What is below is usually one's own.
const OTHERS: [&str; 20] = [
    "/boot",
    "/dev/shm",
    "/media",
    "/mnt",
    "/root",
    "/run/credentials",
    "/run/lock",
    "/run/secrets",
    "/run/user",
    "/srv",
    "/tmp",
    "/var/backups",
    "/var/cache",
    "/var/lib",
    "/var/log",
    "/var/mail",
    "/var/run",
    "/var/spool",
    "/var/tmp",
    "/var/www",
];
const PROJECT: [&str; 2] = ["package.json", "pyproject.toml"];
const MODULES: &str = "node_modules";

impl Common {
    /// Of this machine, with what is the gateway's.
    pub(super) fn of_host<'p>(own: impl IntoIterator<Item = &'p Path>) -> Self {
        let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let homes = users.lines().filter_map(|line| line.split(':').nth(5)).map(PathBuf::from);
        let homes = homes.chain(std::env::home_dir());
        let others = OTHERS.into_iter().map(Path::new).chain(own).map(Path::to_owned);
        Self { homes: real(homes), others: real(others) }
    }

    /// What a command needs that is started by this program and these arguments, its name first.
    pub(super) fn needed(&self, program: &Path, argv: &[String], search: &str) -> BTreeSet<PathBuf> {
        let mut needed: BTreeSet<PathBuf> =
            std::env::split_paths(search).filter(|path| self.may_open(path)).collect();
        // By itself, too: our own binary can be run after its file was replaced.
        needed.insert(program.to_owned());
        needed.extend(reach::programs(program, search).iter().map(|path| self.installation(path)));
        for named in argv.iter().skip(1).map(Path::new).filter(|path| path.is_absolute()) {
            self.surroundings(named, &mut needed);
            // Where a link leads, what is found from there is, too.
            if let Ok(real) = named.canonicalize() {
                self.surroundings(&real, &mut needed);
            }
        }
        needed
    }

    /// Where a program is installed: what `bin` stands in, or the directory that it lies in itself.
    fn installation(&self, program: &Path) -> PathBuf {
        let directory = program.parent();
        let bin = directory.filter(|directory| directory.file_name().is_some_and(|name| name == "bin"));
        let all = [bin.and_then(Path::parent), directory];
        all.into_iter().flatten().find(|path| self.is_own(path)).unwrap_or(program).to_owned()
    }

    /// What an operator means who names a file: the project that it belongs to, with the modules that are found
    /// from there.
    fn surroundings(&self, named: &Path, needed: &mut BTreeSet<PathBuf>) {
        let start = if named.is_dir() { Some(named) } else { named.parent() };
        match start.filter(|start| self.is_own(start)) {
            Some(start) => needed.insert(start.to_owned()),
            None => !named.is_dir() && self.may_open(named) && needed.insert(named.to_owned()),
        };
        let files =
            |above: &Path| PROJECT.map(|file| above.join(file)).into_iter().filter(|file| file.is_file());
        if let Some(project) = named.ancestors().skip(1).find(|above| files(above).next().is_some()) {
            match self.is_own(project) {
                true => drop(needed.insert(project.to_owned())),
                false => needed.extend(files(project)),
            }
        }
        let modules = named.ancestors().map(|above| above.join(MODULES));
        needed.extend(modules.filter(|modules| modules.is_dir() && self.may_open(modules)));
    }

    /// Whether a directory may be opened as a whole: it is no common place, and none is below.
    fn may_open(&self, directory: &Path) -> bool {
        let real = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
        real.is_absolute() && !self.homes.iter().chain(&self.others).any(|place| place.starts_with(&real))
    }

    /// Whether all that lies there may belong to one program.
    fn is_own(&self, directory: &Path) -> bool {
        self.may_open(directory) && !self.is_settings(directory)
    }

    /// Whether this is where programs keep their settings, and secrets, in somebody's home: `.ssh`, for one.
    fn is_settings(&self, directory: &Path) -> bool {
        let real = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
        let hidden = real.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        hidden && real.parent().is_some_and(|above| self.homes.iter().any(|home| home == above))
    }
}

/// The places as they are named and where that leads.
fn real(places: impl Iterator<Item = PathBuf>) -> Vec<PathBuf> {
    let places = places.filter(|place| place.is_absolute());
    let both = places.flat_map(|place| [place.canonicalize().ok(), Some(place)]).flatten();
    both.collect::<BTreeSet<_>>().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needed(common: &Common, named: &[&Path]) -> BTreeSet<PathBuf> {
        let argv: Vec<String> =
            [Path::new("node")].iter().chain(named).map(|path| path.to_str().unwrap().to_owned()).collect();
        common.needed(Path::new("/somewhere/bin/node"), &argv, "")
    }

    #[test]
    fn what_a_command_names_can_be_read_but_never_everything() {
        let argv = ["node", "/nowhere/app/index.js", "relative.js", "/file"].map(str::to_owned);
        let common = Common::of_host([]);
        let found =
            common.needed(Path::new("/somewhere/bin/node"), &argv, "/a/bin:/b/bin:relative::/tmp:/root");
        let wanted = ["/a/bin", "/b/bin", "/file", "/nowhere/app", "/somewhere", "/somewhere/bin/node"]
            .map(PathBuf::from);
        assert_eq!(found, wanted.into());
        let place = tempfile::tempdir().unwrap();
        let script = place.path().join("server");
        fs::write(&script, "#!/elsewhere/bin/python3\n").unwrap();
        let found = common.needed(&script, &[], "");
        assert!(found.contains(Path::new("/elsewhere")), "the interpreter of a script is a program, too");
    }

    #[test]
    fn a_place_that_is_not_the_commands_own_is_never_opened_as_a_whole() {
        let common = Common::of_host([Path::new("/kept/lockgate-0")]);
        for place in ["/", "/home", "/root", "/tmp", "/var", "/var/tmp", "/dev", "/dev/shm", "/run", "/kept"]
        {
            let file = Path::new(place).join("server.js");
            assert!(needed(&common, &[&file]).contains(&file), "{file:?}");
            assert!(!needed(&common, &[&file]).contains(Path::new(place)), "{place}");
            assert!(!needed(&common, &[Path::new(place)]).contains(Path::new(place)), "{place} itself");
        }
        assert!(needed(&common, &[Path::new("/srv/app/server.js")]).contains(Path::new("/srv/app")));
    }

    #[test]
    fn of_a_home_there_is_the_file_and_a_project_below_as_a_whole_whatever_link_leads_there() {
        let place = tempfile::tempdir().unwrap();
        let home = place.path().canonicalize().unwrap().join("me");
        let make = |path: &str| {
            let path = home.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "").unwrap();
            path
        };
        let (server, key) = (make("server.js"), make(".ssh/key"));
        let (package, module) = (make("package.json"), make("node_modules/m/index.js"));
        let (inner, program) = (make("project/src/server.js"), make("bin/server"));
        let (hidden, settings) = (make(".cargo/bin/server"), make(".config/package.json"));
        make("project/package.json");
        let link = place.path().join("link");
        std::os::unix::fs::symlink(&home, &link).unwrap();
        let common = Common { homes: real([home.clone()].into_iter()), others: Vec::new() };
        let modules = module.ancestors().nth(2).unwrap().to_owned();
        for way in [server.clone(), link.join("server.js")] {
            let found = needed(&common, &[&way]);
            assert!(
                found.is_superset(&[server.clone(), package.clone(), modules.clone()].into()),
                "{found:?}"
            );
            assert!(
                !found.iter().any(|path| home.starts_with(path.canonicalize().unwrap_or(path.clone()))),
                "{found:?}"
            );
        }
        assert!(!needed(&common, &[&key]).contains(key.parent().unwrap()));
        // Beside `bin` there are keys.
        assert_eq!(common.needed(&hidden, &[], ""), [hidden.parent().unwrap().to_owned(), hidden].into());
        let found = needed(&common, &[&settings.with_file_name("server/main.js")]);
        assert!(!found.contains(settings.parent().unwrap()) && found.contains(&settings));
        let found = needed(&common, &[&inner]);
        assert!(found.contains(&home.join("project")) && found.contains(&home.join("project/src")));
        let found = common.needed(&program, &[], "");
        assert_eq!(found, [program.parent().unwrap().to_owned(), program].into());
    }
}
