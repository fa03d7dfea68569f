// What OpenZeppelin makes of a tree: JSON on standard input, JSON on standard output.
//
// In:  {"types", "rows"}.
// Out: {"root", "proofs"}, a proof for each row.
const { readFileSync } = require("node:fs");
const { StandardMerkleTree } = require("@openzeppelin/merkle-tree");

const { types, rows } = JSON.parse(readFileSync(0, "utf8"));
const tree = StandardMerkleTree.of(rows, types);
const proofs = rows.map((row) => tree.getProof(row));
process.stdout.write(JSON.stringify({ root: tree.root, proofs }));
