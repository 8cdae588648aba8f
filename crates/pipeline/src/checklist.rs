//! A plan as people read it: what was found good, and what is left to do.

use std::fmt;

use bytesize::ByteSize;

use crate::plan::{Plan, ToolSource};
use crate::source::Source;
use crate::update_tool::SETUP_SCRIPT;

const DONE: &str = "[x]";
const OPEN: &str = "[ ]";

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Checked:")?;
        self.checked(f)?;
        writeln!(f, "To do:")?;
        self.to_do(f)?;
        writeln!(f, "Looked at by apply, before it unpacks anything:")?;
        self.left_to_apply().iter().try_for_each(|what| writeln!(f, "  {OPEN} {what}"))
    }
}

impl Plan {
    fn checked(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let product = &self.product;
        writeln!(
            f,
            "  {DONE} product   {} {} at update level {}",
            product.name, product.version, product.update_level
        )?;
        match &self.source {
            Source::Pack(pack) => writeln!(
                f,
                "  {DONE} pack      {} ({}; {} in {} files unpacked)",
                self.source.name(),
                ByteSize(pack.bytes),
                ByteSize(pack.unpacked_bytes()),
                pack.files()
            )?,
            Source::Image(image, _) => writeln!(
                f,
                "  {DONE} pack      {} ({}; the product is in /{})",
                self.source.name(),
                ByteSize(image.base.size),
                image.facts.placement.home
            )?,
        }
        match self.update_tool_source {
            None => {}
            Some(ToolSource::InPack) => writeln!(f, "  {DONE} tool      bin/{}", self.host.update_tool)?,
            Some(ToolSource::SetupScript) => {
                writeln!(f, "  {DONE} tool      bin/{}, downloaded by bin/{SETUP_SCRIPT}", self.host.update_tool)?
            }
        }
        if self.hotfixes.as_slice().is_empty() {
            writeln!(f, "  {DONE} hotfixes  none")?;
        }
        for (position, hotfix) in self.hotfixes.as_slice().iter().enumerate() {
            let (mark, title) = if position == 0 { (DONE, "hotfixes") } else { ("   ", "") };
            writeln!(f, "  {mark} {title:<10}{} {} ({})", hotfix.number, hotfix.file, ByteSize(hotfix.bytes))?;
        }
        writeln!(f, "  {DONE} disk      {} needed, {} free", ByteSize(self.disk_needed), ByteSize(self.disk_free))
    }

    fn to_do(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.request.if_changed, self.request.report_only_changes) {
            (_, true) => return writeln!(f, "  {OPEN} compare   with what the names have, and tell; nothing is made"),
            (true, false) => {
                writeln!(f, "  {OPEN} compare   with what the names have; the rest only where something differs")?
            }
            (false, false) => {}
        }
        if self.update_tool_source.is_some() {
            writeln!(f, "  {OPEN} unpack    the product, or take it from the cache")?;
            writeln!(f, "  {OPEN} update    the update tool, where it wants that")?;
        }
        match self.hotfixes.as_slice() {
            [] => {}
            [_] => writeln!(f, "  {OPEN} apply     hotfix 1")?,
            several => writeln!(f, "  {OPEN} apply     hotfixes 1 to {}, one by one", several.len())?,
        }
        writeln!(f, "  {OPEN} image     {}", self.method)?;
        writeln!(f, "  {OPEN} output    {}", self.output)?;
        let verb = if self.push { "tag, push" } else { "tag" };
        self.tags.iter().try_for_each(|tag| writeln!(f, "  {OPEN} {verb:<10}{tag}"))
    }

    /// What plan does without.
    fn left_to_apply(&self) -> Vec<&'static str> {
        let of_tool = self.update_tool_source.is_some().then_some("the credentials of the update tool");
        let push = self.push.then_some("the right to push");
        of_tool.into_iter().chain(["the engine, where there is to be one, and the base image"]).chain(push).collect()
    }
}
