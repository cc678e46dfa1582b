// Verifies cases with two Go libraries that Debian packages: golang.org/x/mod/sumdb (note, tlog), the one behind Go's checksum
// database, and the Merkle verifier of Google's Certificate Transparency. Cases come as one JSON list; verdicts go out as one.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"certificatetransparency/merkletree"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type testCase struct {
	Kind    string
	Leaf    []byte
	Index   int64
	Size    int64
	OldSize int64 `json:"old_size"`
	Root    []byte
	OldRoot []byte `json:"old_root"`
	Proof   [][]byte
	Note    string
	Vkey    string
	Text    string
	Tiles   map[string][]byte
}

func hash(value []byte) (tlog.Hash, error) {
	var made tlog.Hash
	if len(value) != len(made) {
		return made, fmt.Errorf("a hash of %d bytes", len(value))
	}
	copy(made[:], value)
	return made, nil
}

func hashes(values [][]byte) ([]tlog.Hash, error) {
	made := []tlog.Hash{}
	for _, value := range values {
		one, err := hash(value)
		if err != nil {
			return nil, err
		}
		made = append(made, one)
	}
	return made, nil
}

func inclusion(leaf []byte, index, size int64, proof [][]byte, root []byte) error {
	path, err := hashes(proof)
	if err != nil {
		return err
	}
	head, err := hash(root)
	if err != nil {
		return err
	}
	return tlog.CheckRecord(path, size, head, index, tlog.RecordHash(leaf))
}

func consistency(one testCase) error {
	path, err := hashes(one.Proof)
	if err != nil {
		return err
	}
	older, err := hash(one.OldRoot)
	if err != nil {
		return err
	}
	newer, err := hash(one.Root)
	if err != nil {
		return err
	}
	return tlog.CheckTree(path, one.Size, newer, one.OldSize, older)
}

// The signature is note's; the three lines of a checkpoint are read here, as `tlog.ParseTree` knows one log's alone.
func checkpoint(text, vkey string) (size int64, root []byte, err error) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return 0, nil, err
	}
	opened, err := note.Open([]byte(text), note.VerifierList(verifier))
	if err != nil {
		return 0, nil, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() {
		return 0, nil, errors.New("not a checkpoint of this log")
	}
	if size, err = strconv.ParseInt(lines[1], 10, 64); err != nil {
		return 0, nil, err
	}
	root, err = base64.StdEncoding.DecodeString(lines[2])
	return size, root, err
}

func receipt(one testCase) error {
	head, signed, found := strings.Cut(one.Text, "\n\n")
	lines := strings.Split(head, "\n")
	if !found || len(lines) < 2 || lines[0] != "c2sp.org/tlog-proof@v1" || !strings.HasPrefix(lines[1], "index ") {
		return errors.New("not a tlog-proof")
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[1], "index "), 10, 64)
	if err != nil {
		return err
	}
	proof := [][]byte{}
	for _, line := range lines[2:] {
		one, err := base64.StdEncoding.DecodeString(line)
		if err != nil {
			return err
		}
		proof = append(proof, one)
	}
	size, root, err := checkpoint(signed, one.Vkey)
	if err != nil {
		return err
	}
	return inclusion(one.Leaf, index, size, proof, root)
}

type reader struct {
	tiles map[string][]byte
}

func (r reader) Height() int                           { return 8 }
func (r reader) SaveTiles(_ []tlog.Tile, _ [][]byte) {}

func (r reader) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	found := [][]byte{}
	for _, tile := range wanted {
		// C2SP leaves the height out of the path, which for this library is its first part.
		path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		value, ok := r.tiles[path]
		if !ok {
			return nil, fmt.Errorf("no tile %s", path)
		}
		found = append(found, value)
	}
	return found, nil
}

// The reader proves every tile against the root before it uses it; the proof it makes must be ours.
func tiles(one testCase) error {
	root, err := hash(one.Root)
	if err != nil {
		return err
	}
	tree := tlog.TileHashReader(tlog.Tree{N: one.Size, Hash: root}, reader{one.Tiles})
	proof, err := tlog.ProveRecord(one.Size, one.Index, tree)
	if err != nil {
		return err
	}
	if len(proof) != len(one.Proof) {
		return errors.New("another proof")
	}
	for place, value := range proof {
		if !bytes.Equal(value[:], one.Proof[place]) {
			return errors.New("another proof")
		}
	}
	return tlog.CheckRecord(proof, one.Size, root, one.Index, tlog.RecordHash(one.Leaf))
}

func sum(value []byte) []byte {
	digest := sha256.Sum256(value)
	return digest[:]
}

func verdict(library string, one testCase) error {
	if library == "ct" {
		verifier := merkletree.NewMerkleVerifier(sum)
		switch one.Kind {
		case "inclusion": // leaves count from 1 there
			return verifier.VerifyInclusionProof(one.Index+1, one.Size, one.Proof, one.Root, one.Leaf)
		case "consistency":
			return verifier.VerifyConsistencyProof(one.OldSize, one.Size, one.OldRoot, one.Root, one.Proof)
		}
		return errors.New("not offered")
	}
	switch one.Kind {
	case "inclusion":
		return inclusion(one.Leaf, one.Index, one.Size, one.Proof, one.Root)
	case "consistency":
		return consistency(one)
	case "checkpoint":
		_, _, err := checkpoint(one.Note, one.Vkey)
		return err
	case "receipt":
		return receipt(one)
	case "tiles":
		return tiles(one)
	}
	return errors.New("not offered")
}

func guarded(library string, one testCase) (said string) {
	defer func() {
		if broken := recover(); broken != nil {
			said = fmt.Sprint("panic: ", broken)
		}
	}()
	if err := verdict(library, one); err != nil {
		return err.Error()
	}
	return ""
}

func main() {
	var cases []testCase
	if err := json.NewDecoder(os.Stdin).Decode(&cases); err != nil {
		panic(err)
	}
	said := make([]string, len(cases))
	for place, one := range cases {
		said[place] = guarded(os.Args[1], one)
	}
	if err := json.NewEncoder(os.Stdout).Encode(said); err != nil {
		panic(err)
	}
}
