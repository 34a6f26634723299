// Keys that work anywhere on the page, save where one types.

export function listen(actions) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const on = event.target;
    if (on.closest("dialog[open]") || on.matches("select, input[type=text]")) return;
    // Space presses the button that is focused, and ticks a box.
    if (event.key === " " && on.matches("button, input, summary, a")) return;
    if (/^[1-9]$/.test(event.key)) actions.layer(Number(event.key) - 1);
    else if (actions[event.key.toLowerCase()]) actions[event.key.toLowerCase()]();
    else return;
    event.preventDefault();
  });
}
