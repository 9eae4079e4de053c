package handover

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The example of the Standard Webhooks specification.
func TestSignaturesAreThoseOfTheSpecification(t *testing.T) {
	t.Parallel()
	k, err := parseSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	require.NoError(t, err)
	require.Equal(t, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
		k.signature("msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`)))
}

func TestEveryLiveSecretSigns(t *testing.T) {
	t.Parallel()
	keys, err := parseSecrets([]string{whsec("a"), whsec("b")})
	require.NoError(t, err)
	header, now := http.Header{}, time.Unix(1700000000, 0)
	sign(header, keys, "id", now, []byte("body"))
	require.Equal(t, []string{keys[0].signature("id", now, []byte("body")), keys[1].signature("id", now, []byte("body"))},
		strings.Split(header.Get("webhook-signature"), " "))
	require.Equal(t, "1700000000", header.Get("webhook-timestamp"))
	require.Equal(t, "id", header.Get("webhook-id"))
}

func TestASecretThatCannotBeReadIsNotRepeated(t *testing.T) {
	t.Parallel()
	for _, secrets := range [][]string{nil, {""}, {"whsec_"}, {"hunter2"}, {"whsec_hunter2!"}, {whsec("a"), "hunter2"}} {
		_, err := parseSecrets(secrets)
		require.Error(t, err)
		require.NotContains(t, err.Error(), "hunter2")
	}
}
