package handover

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The headers of Standard Webhooks.
const (
	headerID        = "Webhook-Id"
	headerTimestamp = "Webhook-Timestamp"
	headerSignature = "Webhook-Signature"
)

// secretPrefix begins a secret as people write it.
const secretPrefix = "whsec_"

// key is a secret decoded: what HMAC takes.
type key []byte

// parseSecret reads whsec_ and base64. Its error does not repeat the secret.
func parseSecret(secret string) (key, error) {
	encoded, ok := strings.CutPrefix(secret, secretPrefix)
	decoded, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil || len(decoded) == 0 {
		return nil, errors.New("a secret is " + secretPrefix + " and base64")
	}
	return decoded, nil
}

func parseSecrets(secrets []string) ([]key, error) {
	if len(secrets) == 0 {
		return nil, errors.New("there is no secret to sign with")
	}
	keys := make([]key, len(secrets))
	for i, secret := range secrets {
		var err error
		if keys[i], err = parseSecret(secret); err != nil {
			return nil, err
		}
	}
	return keys, nil
}

// signature returns one signature: the scheme's version and the HMAC-SHA256 of
// "<id>.<timestamp>.<body>" in base64.
func (k key) signature(id string, at time.Time, body []byte) string {
	mac := hmac.New(sha256.New, k)
	mac.Write([]byte(id + "." + strconv.FormatInt(at.Unix(), 10) + "."))
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// sign sets the headers of a message, with a signature by each of the keys: the
// receiver needs to know one of them.
func sign(header http.Header, keys []key, id string, at time.Time, body []byte) {
	signatures := make([]string, len(keys))
	for i, k := range keys {
		signatures[i] = k.signature(id, at, body)
	}
	header.Set(headerID, id)
	header.Set(headerTimestamp, strconv.FormatInt(at.Unix(), 10))
	header.Set(headerSignature, strings.Join(signatures, " "))
}
