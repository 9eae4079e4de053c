package deploy_test

import (
	"debug/elf"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestDockerfileBuildsAStaticBinary carries out the RUN lines of the Dockerfile on
// what .dockerignore lets into a build, and looks at what comes out: a program that
// needs no other file, and knows its version. The first run compiles everything
// once more, without cgo, which takes a minute or two; later ones some seconds.
func TestDockerfileBuildsAStaticBinary(t *testing.T) {
	t.Parallel()
	build, image := dockerfile(t)
	source, out := buildContext(t), t.TempDir()
	env := append(stageEnv(build), "TARGETOS=linux", "TARGETARCH="+runtime.GOARCH, "VERSION=v1.2.3-test")
	for _, run := range commands[*instructions.RunCommand](build) {
		require.True(t, run.PrependShell)
		line := strings.ReplaceAll(strings.Join(run.CmdLine, " "), "/out/", out+"/")
		shell := exec.CommandContext(t.Context(), "sh", "-c", line)
		shell.Dir, shell.Env = source, append(shell.Environ(), env...)
		said, err := shell.CombinedOutput()
		require.NoError(t, err, "%s\n%s", line, said)
	}
	for _, c := range commands[*instructions.CopyCommand](image) {
		_, err := os.Stat(strings.Replace(c.SourcePaths[0], "/out/", out+"/", 1))
		require.NoError(t, err, "%s copies what no RUN makes", c)
	}

	binary := filepath.Join(out, "sluice")
	requireStatic(t, binary)
	said, err := exec.CommandContext(t.Context(), binary, "version").CombinedOutput()
	require.NoError(t, err, "%s", said)
	assert.Equal(t, "v1.2.3-test\n", string(said))
}

// requireStatic: nothing is loaded at its start, so it runs in an image without a C
// library.
func requireStatic(t *testing.T, binary string) {
	t.Helper()
	file, err := elf.Open(binary)
	require.NoError(t, err)
	defer file.Close()
	for _, prog := range file.Progs {
		require.NotEqual(t, elf.PT_INTERP, prog.Type, "it asks for a dynamic loader")
		require.NotEqual(t, elf.PT_DYNAMIC, prog.Type, "it asks for shared libraries")
	}
	require.Nil(t, file.Section(".dynamic"))
	require.Nil(t, file.Section(".symtab"), "-s is missing")
}

// TestBuildContextHoldsNoSecret: what an image must never have been near is kept
// out by .dockerignore.
func TestBuildContextHoldsNoSecret(t *testing.T) {
	t.Parallel()
	ignored := dockerignore(t)
	for file, out := range map[string]bool{
		"deploy/secrets/database_url": true, ".git/config": true, ".sluice/dev.json": true, ".env": true, "bin/sluice": true,
		"docker-compose.override.yml": true, "cmd/sluice/main_test.go": true, "config/testdata/config/x.yaml": true, "secrets/key": true,
		"go.mod": false, "go.sum": false, "cmd/sluice/main.go": false, "migrations/00001_catalog_versions.sql": false,
		"config/examples/catalog.yaml": false,
	} {
		assert.Equal(t, out, ignored(file), file)
	}
}

// dockerignore returns whether .dockerignore keeps a file out of the build.
func dockerignore(t *testing.T) func(file string) bool {
	t.Helper()
	file, err := os.Open("../.dockerignore")
	require.NoError(t, err)
	defer file.Close()
	patterns, err := ignorefile.ReadAll(file)
	require.NoError(t, err)
	matcher, err := patternmatcher.New(patterns)
	require.NoError(t, err)
	return func(file string) bool {
		matches, err := matcher.MatchesOrParentMatches(file)
		require.NoError(t, err)
		return matches
	}
}

// buildContext copies what a build would be sent into a folder of its own.
func buildContext(t *testing.T) string {
	t.Helper()
	folder, ignored := t.TempDir(), dockerignore(t)
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		file, err := filepath.Rel("..", path)
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (file == ".git" || file == ".sluice"):
			return filepath.SkipDir // large, and others write to it
		case !entry.Type().IsRegular() || ignored(file):
			return nil
		}
		to := filepath.Join(folder, file)
		if err := os.MkdirAll(filepath.Dir(to), 0o750); err != nil {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(to, raw, 0o600)
	})
	require.NoError(t, err)
	return folder
}
