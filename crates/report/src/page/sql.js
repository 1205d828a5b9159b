// SQL in colour: enough of a lexer to tell words, texts, numbers and comments apart.

const WORDS = new Set(
  ("select from where and or not insert into values update set delete begin commit rollback start transaction isolation " +
    "level read committed repeatable serializable uncommitted only write for share no key skip locked nowait join left " +
    "right inner outer full cross on using as with recursive order by group having limit offset returning conflict do " +
    "nothing exists in is null like ilike between case when then else end distinct union all except intersect lock table " +
    "create alter drop index unique primary references default true false savepoint release to any cast values truncate " +
    "asc desc over partition merge matched set local fetch first next row rows lateral notify listen").split(" "),
);
const TOKENS =
  /(--[^\n]*|\/\*[\s\S]*?\*\/)|('(?:[^']|'')*'|\$([A-Za-z_]*)\$[\s\S]*?\$\3\$)|("(?:[^"]|"")*")|(\$\d+|:[A-Za-z_]\w*)|(\b\d+(?:\.\d+)?\b)|([A-Za-z_]\w*)/g;

/** The text as a list of texts and coloured pieces. */
function highlight(sql) {
  const out = [];
  let from = 0;
  for (const found of sql.matchAll(TOKENS)) {
    const [text, comment, literal, , name, value, number, word] = found;
    const kind =
      (comment && "comment") ||
      (literal && "text") ||
      (value && "value") ||
      (number && "number") ||
      (word && WORDS.has(word.toLowerCase()) && "word") ||
      (name && "name");
    if (!kind || kind === "name") continue;
    out.push(sql.slice(from, found.index), el("span", { class: `sql-${kind}` }, text));
    from = found.index + text.length;
  }
  out.push(sql.slice(from));
  return out.filter((part) => part !== "");
}
