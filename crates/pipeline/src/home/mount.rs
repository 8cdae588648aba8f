//! An overlay file system that only one process and its children can see: mounted between fork and exec, in a mount
//! namespace of its own, so it is gone with the last of them however they end.
//!
//! See "Overlay Filesystem" in the kernel's documentation, mount_namespaces(7) and user_namespaces(7).

use std::ffi::{CStr, CString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::process::{chdir, getegid, geteuid};
use rustix::thread::UnshareFlags;
use tokio::process::Command;

/// Names that the folders have in the folder of the overlay. Options of a mount have no room for long paths, and commas
/// and colons mean something in them.
pub(super) const LOWER: &str = "lower";
pub(super) const UPPER: &str = "upper";
pub(super) const WORK: &str = "work";

/// Who mounts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Privilege {
    /// The administrator of the machine. Renamed folders are possible.
    Administrator,
    /// Anybody, in a user namespace in which nothing but ourselves exists (Linux 5.11 and later).
    User,
}

impl Privilege {
    /// Where the file system notes what a folder replaces.
    pub(super) fn attribute(self, name: &str) -> String {
        match self {
            Self::Administrator => format!("trusted.overlay.{name}"),
            Self::User => format!("user.overlay.{name}"),
        }
    }

    fn options(self) -> &'static CStr {
        match self {
            Self::Administrator => c"lowerdir=lower,upperdir=upper,workdir=work,redirect_dir=on,metacopy=off,index=off",
            Self::User => c"lowerdir=lower,upperdir=upper,workdir=work,userxattr",
        }
    }
}

/// Everything that is needed between fork and exec, where nothing can be allocated.
#[derive(Debug, Clone)]
pub(super) struct Mount {
    privilege: Privilege,
    folder: CString,
    mount_point: CString,
    user_map: String,
    group_map: String,
}

impl Mount {
    /// The overlay of the folders in `folder`, at `mount_point`.
    pub(super) fn new(privilege: Privilege, folder: &Path, mount_point: &Path) -> io::Result<Self> {
        let c_path = |path: &Path| CString::new(path.as_os_str().as_bytes()).map_err(io::Error::other);
        let (user, group) = (geteuid().as_raw(), getegid().as_raw());
        Ok(Self {
            privilege,
            folder: c_path(folder)?,
            mount_point: c_path(mount_point)?,
            user_map: format!("{user} {user} 1"),
            group_map: format!("{group} {group} 1"),
        })
    }

    /// Mounts it in a process that ends at once.
    ///
    /// # Errors
    /// Where that is not possible here.
    pub(super) fn try_out(&self) -> io::Result<()> {
        /// Of all codes one that no call here gives.
        const IT_WORKS: rustix::io::Errno = rustix::io::Errno::CANCELED;
        let mount = self.clone();
        let mut command = std::process::Command::new("/");
        before_exec(&mut command, move || mount.enter().and(Err(IT_WORKS)));
        match command.spawn() {
            Err(error) if error.raw_os_error() == Some(IT_WORKS.raw_os_error()) => Ok(()),
            Err(error) => Err(error),
            Ok(_) => Err(io::Error::other("a folder was run as a program")),
        }
    }

    /// Lets `command` see it, and work in its folder `inner`.
    pub(super) fn prepare(&self, command: &mut Command, inner: CString) {
        let mount = self.clone();
        before_exec(command.as_std_mut(), move || {
            mount.enter()?;
            chdir(&*mount.mount_point)?;
            chdir(&*inner)
        });
    }

    fn enter(&self) -> rustix::io::Result<()> {
        match self.privilege {
            Privilege::Administrator => unshare(UnshareFlags::NEWNS)?,
            Privilege::User => {
                unshare(UnshareFlags::NEWNS | UnshareFlags::NEWUSER)?;
                write(c"/proc/self/setgroups", "deny")?;
                write(c"/proc/self/uid_map", &self.user_map)?;
                write(c"/proc/self/gid_map", &self.group_map)?;
            }
        }
        mount_change(c"/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)?;
        chdir(&*self.folder)?;
        let flags = MountFlags::NODEV | MountFlags::NOSUID;
        mount(c"hotfix", &*self.mount_point, c"overlay", flags, self.privilege.options())
    }
}

#[allow(unsafe_code)]
fn unshare(flags: UnshareFlags) -> rustix::io::Result<()> {
    // SAFETY: file descriptors, which are what can be pulled from under others, are not unshared.
    unsafe { rustix::thread::unshare_unsafe(flags) }
}

fn write(path: &CStr, text: &str) -> rustix::io::Result<()> {
    let file = rustix::fs::open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(&file, text.as_bytes()).map(drop)
}

#[allow(unsafe_code)]
fn before_exec(
    command: &mut std::process::Command,
    mut work: impl FnMut() -> rustix::io::Result<()> + Send + Sync + 'static,
) {
    use std::os::unix::process::CommandExt;
    // SAFETY: between fork and exec only async-signal-safe calls are allowed; `work` makes plain system calls with
    // what was allocated before.
    unsafe { command.pre_exec(move || work().map_err(io::Error::from)) };
}
