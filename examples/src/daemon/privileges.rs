//! What the daemon keeps of its privileges once its sockets and devices are there: CAP_NET_ADMIN, to
//! switch the carrier of its devices. All else goes, for good.

use caps::{CapSet, Capability, CapsHashSet};
use nix::sys::prctl;
use nix::unistd::{User, setgroups, setresgid, setresuid};

use super::Error;

/// Changes to another user, if one is named, and drops what is not needed.
///
/// Unless `inspectable`, the process leaves no core file, and nobody but root traces it or reads its
/// memory: it holds keys.
///
/// # Errors
///
/// No such user, or the system refuses: then the daemon must not go on.
pub fn drop_all_but_needed(user: Option<&str>, inspectable: bool) -> Result<(), Error> {
    let kept: CapsHashSet = caps::read(None, CapSet::Permitted)?
        .into_iter()
        .filter(|capability| *capability == Capability::CAP_NET_ADMIN)
        .collect();
    if caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP)? {
        // Nothing that is executed could get more.
        for capability in caps::all().difference(&kept) {
            // A capability that this kernel does not know is none.
            let _unknown = caps::drop(None, CapSet::Bounding, *capability);
        }
    }
    if let Some(name) = user {
        let user = User::from_name(name)?.ok_or_else(|| format!("no user {name}"))?;
        prctl::set_keepcaps(true)?;
        setgroups(&[])?;
        setresgid(user.gid, user.gid, user.gid)?;
        setresuid(user.uid, user.uid, user.uid)?;
    }
    caps::clear(None, CapSet::Ambient)?;
    caps::set(None, CapSet::Effective, &kept)?;
    caps::set(None, CapSet::Permitted, &kept)?;
    caps::set(None, CapSet::Inheritable, &CapsHashSet::new())?;
    prctl::set_no_new_privs()?;
    // Last, since a change of user decides it too.
    prctl::set_dumpable(inspectable)?;
    Ok(())
}
