// Verifies cases with two libraries from npm: what npm itself checks packages' signatures with, and an RFC 9162 library that
// COSE receipts are made with. Cases come as one JSON list; verdicts go out as one.
"use strict";

const path = require("node:path");
const crypto = require("node:crypto");
const fs = require("node:fs");
const modules = process.argv[3];
const load = (...parts) => require(path.join(modules, ...parts));

const bytes = (text) => Buffer.from(text, "base64");

// An Ed25519 public key as Node wants it (RFC 8410), out of `NAME+KEYID+base64(0x01 || key)`.
function authority(vkey) {
  const [name, keyId, encoded] = [vkey.split("+")[0], vkey.split("+")[1], vkey.split("+").slice(2).join("+")];
  const key = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), bytes(encoded).subarray(1)]);
  return {
    logID: Buffer.concat([Buffer.from(keyId, "hex"), Buffer.alloc(28)]),
    baseURL: name,
    publicKey: crypto.createPublicKey({ key, format: "der", type: "spki" }),
  };
}

function sigstore() {
  const { verifyMerkleInclusion } = load("@sigstore", "verify", "dist", "tlog", "merkle.js");
  const { verifyCheckpoint } = load("@sigstore", "verify", "dist", "tlog", "checkpoint.js");
  const entry = (leaf, index, size, root, hashes, envelope) => ({
    canonicalizedBody: leaf,
    inclusionProof: { logIndex: String(index), treeSize: String(size), rootHash: root, hashes, checkpoint: { envelope } },
  });
  const { verifyTLogInclusion } = load("@sigstore", "verify", "dist", "tlog", "index.js");
  return {
    inclusion: (one) => {
      const made = entry(bytes(one.leaf), one.index, one.size, bytes(one.root), one.proof.map(bytes), "");
      verifyMerkleInclusion(made, { logSize: BigInt(one.size), logHash: bytes(one.root) });
    },
    checkpoint: (one) => {
      const lines = one.note.split("\n");
      verifyCheckpoint(entry(Buffer.alloc(0), 0, lines[1], bytes(lines[2]), [], one.note), [authority(one.vkey)]);
    },
    receipt: (one) => {
      const at = one.text.indexOf("\n\n");
      const lines = one.text.slice(0, at).split("\n");
      const note = one.text.slice(at + 2);
      const [size, root] = [note.split("\n")[1], bytes(note.split("\n")[2])];
      const index = lines[1].slice("index ".length);
      verifyTLogInclusion(entry(bytes(one.leaf), index, size, root, lines.slice(2).map(bytes), note), [authority(one.vkey)]);
    },
  };
}

function transmute() {
  const { RFC9162 } = load("@transmute", "rfc9162");
  const held = (verdict) => {
    if (verdict !== true) throw new Error("refused");
  };
  return {
    inclusion: async (one) =>
      held(
        await RFC9162.verifyInclusionProof(bytes(one.root), await RFC9162.leaf(bytes(one.leaf)), {
          log_id: "",
          tree_size: one.size,
          leaf_index: one.index,
          inclusion_path: one.proof.map(bytes),
        }),
      ),
    consistency: async (one) => {
      // RFC 9162 has the verifier put the old root in front where its tree is one whole subtree; this library leaves that to its caller.
      const whole = (BigInt(one.old_size) & (BigInt(one.old_size) - 1n)) === 0n;
      const proof = one.proof.map(bytes);
      held(
        await RFC9162.verifyConsistencyProof(bytes(one.old_root), bytes(one.root), {
          log_id: "",
          tree_size_1: one.old_size,
          tree_size_2: one.size,
          consistency_path: whole ? [bytes(one.old_root), ...proof] : proof,
        }),
      );
    },
  };
}

async function main() {
  const offered = { sigstore, transmute }[process.argv[2]]();
  const said = [];
  for (const one of JSON.parse(fs.readFileSync(0, "utf8"))) {
    try {
      if (!(one.kind in offered)) throw new Error("not offered");
      await offered[one.kind](one);
      said.push("");
    } catch (error) {
      said.push(String(error.message || error) || "refused");
    }
  }
  fs.writeFileSync(1, JSON.stringify(said));
}

main();
