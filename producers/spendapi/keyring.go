package spendapi

import (
	"crypto/sha256"
	"crypto/subtle"
)

// keyring holds live keys by their SHA-256, so that comparing takes the same time
// whatever a caller sends, and no key lies about in memory.
type keyring [][sha256.Size]byte

func newKeyring(lists ...[]string) keyring {
	var ring keyring
	for _, keys := range lists {
		for _, key := range keys {
			if key != "" {
				ring = append(ring, sha256.Sum256([]byte(key)))
			}
		}
	}
	return ring
}

// holds reports whether token is one of the keys. It looks at all of them, so that
// the time does not tell which.
func (k keyring) holds(token string) bool {
	digest := sha256.Sum256([]byte(token))
	found := 0
	for _, key := range k {
		found |= subtle.ConstantTimeCompare(digest[:], key[:])
	}
	return found == 1
}
