// Shows the files whose path holds what is typed, and the hotfixes that have one.
const field = document.querySelector(".filter");
field.hidden = false;
field.addEventListener("input", () => {
  const wanted = field.value.trim().toLowerCase();
  for (const block of document.querySelectorAll("[data-files]")) {
    let shown = 0;
    for (const file of block.querySelectorAll("li")) {
      file.hidden = !file.textContent.toLowerCase().includes(wanted);
      shown += file.hidden ? 0 : 1;
    }
    block.hidden = wanted !== "" && shown === 0;
    if (block.tagName === "DETAILS") block.open = wanted !== "" && shown > 0;
  }
});
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((block) => (block.open = true)));
