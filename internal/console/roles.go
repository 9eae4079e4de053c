package console

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
)

// Role is what the holder of a key may do. Each may do what those before it may.
type Role int

// The roles.
const (
	Nobody   Role = iota
	Viewer        // look
	Support       // and act for one player
	Operator      // and everything else
)

// String returns the role's name, as in SLUICE_ADMIN_KEYS.
func (r Role) String() string {
	return [...]string{"nobody", "viewer", "support", "operator"}[r]
}

// Key lets somebody in.
type Key struct {
	Role Role
	Key  string
}

// keyIDLength is how much of a key's hash names it: enough that two keys never meet,
// too little to find the key by.
const keyIDLength = 12

// keyID names a key in sessions and in the audit log without telling it.
func keyID(key string) string {
	sum := sha256.Sum256([]byte("sluice console key\x00" + key))
	return hex.EncodeToString(sum[:])[:keyIDLength]
}

// keyring knows the keys by their hashes, so that comparing takes the same time
// whatever is tried.
type keyring []heldKey

type heldKey struct {
	hash [sha256.Size]byte
	id   string
	role Role
}

func newKeyring(keys []Key) keyring {
	ring := make(keyring, len(keys))
	for i, k := range keys {
		ring[i] = heldKey{sha256.Sum256([]byte(k.Key)), keyID(k.Key), k.Role}
	}
	return ring
}

// open returns whose key it is. It looks at all of them, so that the time does not
// tell which.
func (k keyring) open(key string) (id string, role Role) {
	hash := sha256.Sum256([]byte(key))
	for _, held := range k {
		if subtle.ConstantTimeCompare(hash[:], held.hash[:]) == 1 {
			id, role = held.id, held.role
		}
	}
	return id, role
}

// roleOf returns what the key of an id may do now; Nobody when it is not in the
// settings any more.
func (k keyring) roleOf(id string) Role {
	for _, held := range k {
		if held.id == id {
			return held.role
		}
	}
	return Nobody
}
