// Checks what tfaudit hands out with the Go checksum database's own packages, and nothing of ours:
//
//	verifier note    VKEY CHECKPOINT
//	verifier receipt VKEY RECEIPT
//	verifier tiles   VKEY DIR [OLDER-CHECKPOINT]
//
// It exits with 0 and says what it found, or with 1 and says what does not hold.
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8 // of a tile: C2SP tlog-tiles has tiles of 256 hashes

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "refused:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 3 {
		return fmt.Errorf("usage: verifier note|receipt|tiles VKEY PATH [OLDER-CHECKPOINT]")
	}
	verifier, err := note.NewVerifier(args[1])
	if err != nil {
		return err
	}
	switch args[0] {
	case "note":
		tree, err := open(args[2], verifier)
		if err == nil {
			fmt.Printf("checkpoint of %d entries, root %v\n", tree.N, tree.Hash)
		}
		return err
	case "receipt":
		return receipt(args[2], verifier)
	case "tiles":
		return tiles(args[2], args[3:], verifier)
	}
	return fmt.Errorf("no such check: %s", args[0])
}

// open reads a signed checkpoint. tlog.ParseTree knows the origin of the checksum database alone,
// so the three lines are parsed here (C2SP tlog-checkpoint).
func open(path string, verifier note.Verifier) (tlog.Tree, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return tlog.Tree{}, err
	}
	return parse(text, verifier)
}

func parse(text []byte, verifier note.Verifier) (tlog.Tree, error) {
	opened, err := note.Open(text, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() {
		return tlog.Tree{}, fmt.Errorf("not a checkpoint of %s", verifier.Name())
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	root, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: root}, err
}

// receipt checks one entry (C2SP tlog-proof); the entry is the extra data.
func receipt(path string, verifier note.Verifier) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	head, checkpoint, found := strings.Cut(string(text), "\n\n")
	lines := strings.Split(head, "\n")
	if !found || len(lines) < 3 || lines[0] != "c2sp.org/tlog-proof@v1" {
		return fmt.Errorf("not a receipt")
	}
	entry, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra "))
	if err != nil {
		return err
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[2], "index "), 10, 64)
	if err != nil {
		return err
	}
	var proof tlog.RecordProof
	for _, line := range lines[3:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return err
		}
		proof = append(proof, hash)
	}
	tree, err := parse([]byte(checkpoint), verifier)
	if err != nil {
		return err
	}
	if err := tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(entry)); err != nil {
		return err
	}
	fmt.Printf("entry %d of %d\n", index, tree.N)
	return nil
}

// directory reads tiles where C2SP has them: tile/<L>/<N> in place of Go's tile/<H>/<L>/<N>.
type directory string

func (directory) Height() int { return height }

func (directory) SaveTiles([]tlog.Tile, [][]byte) {}

func (d directory) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	var read [][]byte
	for _, tile := range wanted {
		path := strings.Replace(tile.Path(), fmt.Sprintf("tile/%d/", height), "tile/", 1)
		content, err := os.ReadFile(filepath.Join(string(d), path))
		if err != nil {
			return nil, err
		}
		read = append(read, content)
	}
	return read, nil
}

// tiles checks every entry, every record proof out of the tiles, and growth from smaller sizes.
func tiles(dir string, older []string, verifier note.Verifier) error {
	tree, err := open(filepath.Join(dir, "checkpoint"), verifier)
	if err != nil {
		return err
	}
	reader := tlog.TileHashReader(tree, directory(dir)) // checks each tile against the tree
	if root, err := tlog.TreeHash(tree.N, reader); err != nil || root != tree.Hash {
		return fmt.Errorf("another root than the checkpoint's: %v %v", root, err)
	}
	pruned := int64(0)
	for first := int64(0); first < tree.N; first += 1 << height {
		entries, err := bundle(dir, first, tree.N)
		if errors.Is(err, fs.ErrNotExist) && first == pruned && tree.N-first > 1<<height {
			pruned = first + 1<<height // retention drops whole files, from the first one on
			continue
		}
		if err != nil {
			return err
		}
		for at, entry := range entries {
			index := first + int64(at)
			proof, err := tlog.ProveRecord(tree.N, index, reader)
			if err != nil {
				return err
			}
			hash := tlog.RecordHash(entry)
			if err := tlog.CheckRecord(proof, tree.N, tree.Hash, index, hash); err != nil {
				return fmt.Errorf("entry %d: %v", index, err)
			}
		}
	}
	for _, path := range older {
		old, err := open(path, verifier)
		if err != nil {
			return err
		}
		proof, err := tlog.ProveTree(tree.N, old.N, reader)
		if err != nil {
			return err
		}
		if err := tlog.CheckTree(proof, tree.N, tree.Hash, old.N, old.Hash); err != nil {
			return fmt.Errorf("not grown from %d entries: %v", old.N, err)
		}
	}
	fmt.Printf("%d entries, root %v\n", tree.N, tree.Hash)
	if pruned > 0 {
		fmt.Printf("NOT CHECKED: the entries before %d, whose files are not there\n", pruned)
	}
	return nil
}

func bundle(dir string, first, size int64) ([][]byte, error) {
	tile := tlog.Tile{H: height, L: 0, N: first >> height, W: 1 << height}
	if size-first < 1<<height {
		tile.W = int(size - first)
	}
	path := strings.Replace(tile.Path(), fmt.Sprintf("tile/%d/0/", height), "tile/entries/", 1)
	content, err := os.ReadFile(filepath.Join(dir, path))
	if err != nil {
		return nil, err
	}
	var entries [][]byte
	for rest := bytes.NewBuffer(content); rest.Len() > 0; {
		length := rest.Next(2)
		if len(length) < 2 || rest.Len() < int(binary.BigEndian.Uint16(length)) {
			return nil, fmt.Errorf("%s ends inside an entry", path)
		}
		entries = append(entries, rest.Next(int(binary.BigEndian.Uint16(length))))
	}
	if len(entries) != tile.W {
		return nil, fmt.Errorf("%s holds %d entries instead of %d", path, len(entries), tile.W)
	}
	return entries, nil
}
