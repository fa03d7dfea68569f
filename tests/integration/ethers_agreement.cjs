// What ethers makes of orders: JSON on standard input, JSON on standard output.
//
// In:  {"types", "orders": [{"domain", "message", "key", "ours"}]}, where `ours` is our
//      signature of 64 bytes.
// Out: {"version", "orders": [{"digest", "address", "compact", "whole", "signedBy"}]}, where
//      `compact` and `whole` are the signature of ethers in 64 and 65 bytes, and `signedBy` is who
//      ethers says made ours.
const { readFileSync } = require("node:fs");
const { Signature, TypedDataEncoder, Wallet, verifyTypedData, version } = require("ethers");

async function of({ types }, { domain, message, key, ours }) {
  const wallet = new Wallet(key);
  const whole = await wallet.signTypedData(domain, types, message);
  return {
    digest: TypedDataEncoder.hash(domain, types, message),
    address: wallet.address,
    compact: Signature.from(whole).compactSerialized,
    whole,
    signedBy: verifyTypedData(domain, types, message, Signature.from(ours).serialized),
  };
}

async function main() {
  const asked = JSON.parse(readFileSync(0, "utf8"), (field, value) =>
    // Numbers come as text, because some have more than 53 bits; the version is a text.
    field !== "version" && /^[0-9]+$/.test(value) ? BigInt(value) : value,
  );
  const orders = await Promise.all(asked.orders.map((order) => of(asked, order)));
  process.stdout.write(JSON.stringify({ version, orders }));
}

main();
