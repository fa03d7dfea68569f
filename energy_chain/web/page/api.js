// Questions to the server that this page came from.

/** Why a question was not answered. `status` is 0 where no answer came at all. */
export class Unanswered extends Error {
  constructor(message, remedy, status) {
    super(message);
    this.remedy = remedy;
    this.status = status;
  }
}

/** The answer's JSON. Answers that have not changed are not sent again (ETags). */
export async function get(path, params = {}, signal = undefined) {
  const query = new URLSearchParams(
    Object.entries(params).filter(([, value]) => value !== null && value !== undefined),
  );
  const url = `api/${path}${query.size ? `?${query}` : ""}`;
  let answer;
  try {
    answer = await fetch(url, { cache: "no-cache", signal, headers: { Accept: "application/json" } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Unanswered("the server of this page does not answer", "start it again, or wait", 0);
  }
  let body = {};
  try {
    body = await answer.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    if (answer.ok) throw new Unanswered("the server's answer broke off", "try again", 0);
  }
  if (!answer.ok) {
    throw new Unanswered(body.error ?? `the server answered ${answer.status}`, body.remedy ?? "try again", answer.status);
  }
  return body;
}

/** All rows of a list that comes in pages. */
export async function all(path, name, params = {}, signal = undefined) {
  const rows = [];
  for (let after = null; ; ) {
    const page = await get(path, { ...params, limit: 500, after }, signal);
    rows.push(...page[name]);
    after = page.next ?? null;
    if (after === null) return rows;
  }
}
