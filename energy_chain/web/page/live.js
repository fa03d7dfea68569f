// What the server tells by itself: new blocks, trouble of the node, verdicts of the audit.

const AGAIN = 3000;
const NAMES = ["record", "node", "audit"];

/**
 * Listens while the page can be seen: a browser has few connections, and one that nobody looks at
 * needs none. `told` is called with the name of an event and its data, `connected` with whether
 * there is a connection, whenever that changes.
 */
export function listen(told, connected) {
  let is = null;
  let source = null;
  let timer = null;
  const say = (now) => {
    if (now !== is) connected((is = now));
  };

  function open() {
    source = new EventSource("api/events");
    source.onopen = () => say(true);
    source.onerror = () => {
      say(false);
      // A browser tries again by itself after a lost connection, but not after a refusal.
      if (source.readyState === EventSource.CLOSED) timer = setTimeout(open, AGAIN);
    };
    for (const name of NAMES) source.addEventListener(name, (event) => told(name, JSON.parse(event.data)));
  }

  function close() {
    clearTimeout(timer);
    source?.close();
  }

  document.addEventListener("visibilitychange", () => {
    close();
    if (!document.hidden) open();
  });
  if (!document.hidden) open();
}
