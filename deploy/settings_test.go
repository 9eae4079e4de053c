package deploy_test

import (
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/config"
)

// secretsAt is where Docker mounts a service's secrets.
const secretsAt = "/run/secrets/"

// makeSecrets runs `make compose-secrets` for another folder and returns what it says.
func makeSecrets(t *testing.T, folder string) string {
	t.Helper()
	said, err := exec.CommandContext(t.Context(), "../scripts/compose-secrets.sh", folder).CombinedOutput()
	require.NoError(t, err, "%s", said)
	return string(said)
}

// TestEveryRoleHasItsSettings: each of our services starts with what it is given, as
// the program itself judges; every setting exists, and no secret stands in the file.
func TestEveryRoleHasItsSettings(t *testing.T) {
	t.Parallel()
	p := project(t)
	folder := filepath.Join(t.TempDir(), "secrets")
	makeSecrets(t, folder)
	secret := map[string]bool{}
	for _, v := range config.Variables() {
		secret[v.Name] = v.Secret
	}
	for _, s := range ours(p) {
		require.NotEmpty(t, s.Command, s.Name)
		mounted := map[string]bool{} // the service's secrets, by path: true once it reads it
		for _, mount := range s.Secrets {
			mounted[mount.Target] = false
		}
		for name, value := range s.Environment {
			assert.False(t, secret[name], "%s: %s is a secret: set %s_FILE", s.Name, name, name)
			if strings.HasPrefix(name, "SLUICE_") && strings.HasSuffix(name, "_FILE") {
				assert.Contains(t, mounted, *value, "%s: %s names a file that is not there", s.Name, name)
				mounted[*value] = true
			}
		}
		for file, read := range mounted {
			assert.True(t, read, "%s: %s is mounted and never read", s.Name, file)
		}
		settings, err := config.LoadEnviron(environment(s), func(file string) ([]byte, error) {
			return os.ReadFile(strings.Replace(file, secretsAt, folder+"/", 1))
		})
		require.NoError(t, err, s.Name)
		require.NoError(t, settings.Validate(config.Role(roleOf(s))), s.Name)
		if settings.Catalog != "" {
			_, err := config.LoadCatalog(onThisMachine(t, s, settings.Catalog))
			require.NoError(t, err, s.Name)
		}
	}
}

// roleOf is what config calls the subcommand.
func roleOf(s types.ServiceConfig) string { return s.Command[0] }

// onThisMachine finds the file that a service sees at a path, through its bind mounts.
func onThisMachine(t *testing.T, s types.ServiceConfig, file string) string {
	t.Helper()
	for _, v := range s.Volumes {
		if rest, ok := strings.CutPrefix(file, v.Target+"/"); ok && v.Type == types.VolumeTypeBind {
			return filepath.Join(v.Source, rest)
		}
	}
	require.FailNow(t, s.Name+" does not see "+file)
	return ""
}

// TestSecretsAreMadeOnceAndForTheOwnerOnly: a second run changes nothing, adds what
// is missing, and says what it wrote but not what is in it.
func TestSecretsAreMadeOnceAndForTheOwnerOnly(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "secrets")
	said := makeSecrets(t, folder)
	read := func(name string) string {
		raw, err := os.ReadFile(filepath.Join(folder, name))
		require.NoError(t, err)
		return strings.TrimSpace(string(raw))
	}
	info, err := os.Stat(folder)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o700), info.Mode().Perm(), "others may pass the folder")
	first, distinct := map[string]string{}, map[string]string{}
	p := project(t)
	for name, secret := range p.Secrets {
		require.Equal(t, name, path.Base(secret.File))
		first[name] = read(name)
		assert.NotContains(t, distinct, first[name], name)
		distinct[first[name]] = name
		assert.NotContains(t, said, first[name])
		info, err := os.Stat(filepath.Join(folder, name))
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o444), info.Mode().Perm(), "%s: the user of a container reads it, and nobody writes it", name)
	}
	made := p.Services["postgres"].Environment // the user and the database that the container makes
	assert.Equal(t, "postgres://"+*made["POSTGRES_USER"]+":"+first["postgres_password"]+"@postgres:5432/"+*made["POSTGRES_DB"]+"?sslmode=disable", first["database_url"])
	assert.Contains(t, first["nats_auth"], `"`+read("nats_password")+`"`)
	assert.Equal(t, "nats://sluice:"+read("nats_password")+"@nats:4222", first["nats_url"])

	require.NoError(t, os.Remove(filepath.Join(folder, "server_keys")))
	require.Equal(t, "wrote "+filepath.Join(folder, "server_keys")+"\n", makeSecrets(t, folder))
	assert.NotEqual(t, first["server_keys"], read("server_keys"))
	delete(first, "server_keys")
	for name, was := range first {
		assert.Equal(t, was, read(name), "%s was made anew", name)
	}
}
