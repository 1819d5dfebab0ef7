//! The file system against one written naively: whole paths, whole contents, no sharing.

use abi::error::{EEXIST, EISDIR, ENOENT, ENOTDIR, ENOTEMPTY, Error};
use files::system::{Change, FileSystem, How, Limits, Whence};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// A file by its path is an index into contents; a directory is `None`.
#[derive(Default)]
struct Model {
    names: BTreeMap<String, Option<usize>>,
    contents: Vec<Vec<u8>>,
    opens: BTreeMap<u8, (usize, u64)>,
}

impl Model {
    /// The error of a path whose last component may be missing.
    fn parent(&self, path: &str) -> Result<(), Error> {
        let parent = &path[..path.rfind('/').expect("paths are absolute")];
        if parent == "/tmp" {
            return Ok(());
        }
        match self.names.get(parent) {
            Some(None) => Ok(()),
            Some(Some(_)) => Err(Error::new(ENOTDIR)),
            None => self.parent(parent).and(Err(Error::new(ENOENT))),
        }
    }

    fn find(&self, path: &str) -> Result<Option<usize>, Error> {
        self.parent(path)?;
        self.names.get(path).copied().ok_or(Error::new(ENOENT))
    }

    fn is_empty(&self, path: &str) -> bool {
        !self.names.keys().any(|name| name.starts_with(&format!("{path}/")))
    }

    fn open(&mut self, key: u8, path: &str) -> Result<(), Error> {
        let file = match self.find(path) {
            Ok(Some(file)) => file,
            Ok(None) => return Err(Error::new(EISDIR)),
            Err(error) if error.errno == ENOENT && self.parent(path).is_ok() => {
                self.contents.push(Vec::new());
                self.names.insert(path.into(), Some(self.contents.len() - 1));
                self.contents.len() - 1
            }
            Err(error) => return Err(error),
        };
        self.opens.insert(key, (file, 0));
        Ok(())
    }

    fn mkdir(&mut self, path: &str) -> Result<(), Error> {
        match self.find(path) {
            Ok(_) => Err(Error::new(EEXIST)),
            Err(error) if error.errno == ENOENT && self.parent(path).is_ok() => {
                self.names.insert(path.into(), None);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn remove(&mut self, path: &str, directory: bool) -> Result<(), Error> {
        match (self.find(path)?, directory) {
            (None, false) => return Err(Error::new(EISDIR)),
            (Some(_), true) => return Err(Error::new(ENOTDIR)),
            (None, true) if !self.is_empty(path) => return Err(Error::new(ENOTEMPTY)),
            _ => {}
        }
        self.names.remove(path);
        Ok(())
    }

    /// Whether it can be done; which error says why not is another test's matter.
    fn rename(&mut self, old: &str, new: &str) -> bool {
        let (Ok(moved), Ok(())) = (self.find(old), self.parent(new)) else { return false };
        if new.starts_with(&format!("{old}/")) {
            return false;
        }
        if old == new {
            return true;
        }
        match (moved, self.names.get(new)) {
            (Some(moved), Some(Some(there))) if moved == *there => return true,
            (None, Some(Some(_))) | (Some(_), Some(None)) => return false,
            (None, Some(None)) if !self.is_empty(new) => return false,
            _ => {}
        }
        let below = format!("{old}/");
        let under: Vec<String> = self.names.keys().filter(|name| name.starts_with(&below)).cloned().collect();
        for name in under {
            let file = self.names.remove(&name).flatten();
            self.names.insert(format!("{new}/{}", &name[below.len()..]), file);
        }
        self.names.remove(old);
        self.names.insert(new.into(), moved);
        true
    }

    fn link(&mut self, old: &str, new: &str) -> bool {
        let (Ok(Some(file)), Ok(())) = (self.find(old), self.parent(new)) else { return false };
        if self.names.contains_key(new) {
            return false;
        }
        self.names.insert(new.into(), Some(file));
        true
    }
}

#[derive(Clone, Debug)]
enum Step {
    Open(u8, String),
    Close(u8),
    Read(u8, usize),
    Write(u8, Vec<u8>),
    WriteAt(u8, u16, Vec<u8>),
    Seek(u8, u16),
    Truncate(u8, u16),
    Mkdir(String),
    Unlink(String),
    Rmdir(String),
    Rename(String, String),
    Link(String, String),
}

fn path() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 1..4)
        .prop_map(|parts| format!("/tmp/{}", parts.join("/")))
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0u8..4;
    let bytes = prop::collection::vec(any::<u8>(), 0..50);
    prop_oneof![
        3 => (key.clone(), path()).prop_map(|(key, path)| Step::Open(key, path)),
        1 => key.clone().prop_map(Step::Close),
        3 => (key.clone(), 0usize..5000).prop_map(|(key, count)| Step::Read(key, count)),
        3 => (key.clone(), bytes.clone()).prop_map(|(key, bytes)| Step::Write(key, bytes)),
        2 => (key.clone(), 0u16..9000, bytes).prop_map(|(key, at, bytes)| Step::WriteAt(key, at, bytes)),
        2 => (key.clone(), 0u16..9000).prop_map(|(key, at)| Step::Seek(key, at)),
        1 => (key, 0u16..9000).prop_map(|(key, size)| Step::Truncate(key, size)),
        3 => path().prop_map(Step::Mkdir),
        1 => path().prop_map(Step::Unlink),
        1 => path().prop_map(Step::Rmdir),
        2 => (path(), path()).prop_map(|(old, new)| Step::Rename(old, new)),
        2 => (path(), path()).prop_map(|(old, new)| Step::Link(old, new)),
    ]
}

const HOW: How = How {
    read: true,
    write: true,
    create: true,
    exclusive: false,
    truncate: false,
    append: false,
    directory: false,
    mode: 0o600,
};

fn resized(content: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    let end = at + bytes.len();
    content.resize(content.len().max(end), 0);
    content[at..end].copy_from_slice(bytes);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn bytes_names_and_levels_are_those_of_the_model(steps in prop::collection::vec(step(), 0..80)) {
        let mut system = FileSystem::new(&["/tmp"], Limits { pages: 1 << 20, names: 1 << 20 });
        let mut model = Model::default();
        // What was told last, as a level is: R23.
        let mut levels = BTreeMap::new();
        for step in steps {
            match step {
                Step::Open(key, path) => {
                    if model.opens.remove(&key).is_some() {
                        system.close(key);
                        levels.remove(&key);
                    }
                    let got = system.open(key, 1, None, &path, HOW).map(|_| ());
                    prop_assert_eq!(got, model.open(key, &path));
                    if let Ok(distance) = system.distance(key) {
                        levels.insert(key, distance);
                    }
                }
                Step::Close(key) => {
                    system.close(key);
                    model.opens.remove(&key);
                    levels.remove(&key);
                }
                Step::Read(key, count) => if let Some((file, at)) = model.opens.get_mut(&key) {
                    let content = &model.contents[*file];
                    let start = content.len().min(*at as usize);
                    let expected = &content[start..content.len().min(start + count)];
                    let mut buffer = vec![1; count];
                    prop_assert_eq!(system.read(key, &mut buffer, None), Ok(expected.len()));
                    prop_assert_eq!(&buffer[..expected.len()], expected);
                    *at += expected.len() as u64;
                }
                Step::Write(key, bytes) => if let Some((file, at)) = model.opens.get_mut(&key) {
                    resized(&mut model.contents[*file], *at as usize, &bytes);
                    *at += bytes.len() as u64;
                    prop_assert_eq!(system.write(key, &bytes, None), Ok(bytes.len()));
                }
                Step::WriteAt(key, at, bytes) => if let Some((file, _)) = model.opens.get(&key) {
                    resized(&mut model.contents[*file], at.into(), &bytes);
                    prop_assert_eq!(system.write(key, &bytes, Some(at.into())), Ok(bytes.len()));
                }
                Step::Seek(key, to) => if let Some((_, at)) = model.opens.get_mut(&key) {
                    *at = to.into();
                    prop_assert_eq!(system.seek(key, Whence::Start, to.into()), Ok(to.into()));
                }
                Step::Truncate(key, size) => if let Some((file, _)) = model.opens.get(&key) {
                    model.contents[*file].resize(size.into(), 0);
                    prop_assert_eq!(system.truncate_open(key, size.into()), Ok(()));
                }
                Step::Mkdir(path) => prop_assert_eq!(system.mkdir(1, None, &path, 0), model.mkdir(&path)),
                Step::Unlink(path) => prop_assert_eq!(system.unlink(None, &path), model.remove(&path, false)),
                Step::Rmdir(path) => prop_assert_eq!(system.rmdir(None, &path), model.remove(&path, true)),
                Step::Rename(old, new) =>
                    prop_assert_eq!(system.rename(None, &old, &new).is_ok(), model.rename(&old, &new)),
                Step::Link(old, new) =>
                    prop_assert_eq!(system.link(1, None, &old, &new).is_ok(), model.link(&old, &new)),
            }
            for change in system.take_changes() {
                if let Change::Distance { open, bytes, .. } = change {
                    levels.insert(open, bytes);
                }
            }
            // Levels are what the next read gives.
            let expected: BTreeMap<u8, i64> = model.opens.iter().map(|(&key, &(file, at))| {
                (key, model.contents[file].len() as i64 - at as i64)
            }).collect();
            prop_assert_eq!(&levels, &expected);
        }
        for (path, file) in &model.names {
            let stat = system.stat(None, path).expect("what the model has is there");
            prop_assert_eq!(stat.directory, file.is_none());
            if let Some(file) = file {
                let links = model.names.values().filter(|other| **other == Some(*file)).count();
                prop_assert_eq!((stat.links as usize, stat.size), (links, model.contents[*file].len() as u64));
            } else {
                let depth = path.matches('/').count();
                let inside = |name: &str| name.starts_with(&format!("{path}/")) && name.matches('/').count() == depth + 1;
                let of = |directories: bool| {
                    model.names.iter().filter(|(name, file)| inside(name) && (!directories || file.is_none())).count()
                };
                prop_assert_eq!((stat.links as usize, stat.size), (2 + of(true), of(false) as u64));
            }
        }
        prop_assert_eq!(system.used().1, model.names.len() as u64);
        // Nothing is left when nothing is named and open.
        for key in 0..4 {
            system.close(key);
        }
        for (path, file) in model.names.iter().rev() {
            prop_assert_eq!(if file.is_some() { system.unlink(None, path) } else { system.rmdir(None, path) }, Ok(()));
        }
        prop_assert_eq!((system.used(), system.nodes()), ((0, 0), 1));
    }
}
