package deploy_test

import (
	"go/version"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// dockerfile returns the two stages of the Dockerfile: what builds, and the image.
// BuildKit's own parser and linter have nothing to say about it.
func dockerfile(t *testing.T) (build, image instructions.Stage) {
	t.Helper()
	file, err := os.Open("../Dockerfile")
	require.NoError(t, err)
	defer file.Close()
	parsed, err := parser.Parse(file)
	require.NoError(t, err)
	require.Empty(t, parsed.Warnings)
	lint := linter.New(&linter.Config{Warn: func(rule, _, _, message string, _ []parser.Range) {
		t.Errorf("Dockerfile: %s: %s", rule, message)
	}})
	stages, _, err := instructions.Parse(parsed.AST, lint)
	require.NoError(t, err)
	require.Len(t, stages, 2)
	return stages[0], stages[1]
}

// commands returns a stage's commands of one kind, in order.
func commands[C instructions.Command](stage instructions.Stage) []C {
	var found []C
	for _, command := range stage.Commands {
		if c, ok := command.(C); ok {
			found = append(found, c)
		}
	}
	return found
}

// pinned matches an image by a full version or a digest: the same name is the same
// software tomorrow.
var pinned = regexp.MustCompile(`^[a-z0-9./_-]+(:[\w.-]*\d+\.\d+(\.\d+)?(-[\w.]+)?|(:[\w.-]+)?@sha256:[0-9a-f]{64})$`)

// TestImageHoldsOnlyTheBinaryAndRunsItAsNobody: no root, no shell, nothing that
// moves under us.
func TestImageHoldsOnlyTheBinaryAndRunsItAsNobody(t *testing.T) {
	t.Parallel()
	build, image := dockerfile(t)
	assert.Regexp(t, pinned, build.BaseName)
	assert.Regexp(t, pinned, image.BaseName)
	assert.Contains(t, image.BaseName, "distroless/static", "an image with a shell")

	assert.Empty(t, commands[*instructions.RunCommand](image), "there is no shell to run it with")
	for _, stage := range []instructions.Stage{build, image} {
		assert.Empty(t, commands[*instructions.AddCommand](stage), "ADD fetches and unpacks; COPY says what it does")
	}
	users := commands[*instructions.UserCommand](image)
	require.Len(t, users, 1)
	user, _, _ := strings.Cut(users[0].User, ":")
	uid, err := strconv.Atoi(user)
	require.NoError(t, err, "Kubernetes proves runAsNonRoot by a number only")
	assert.Positive(t, uid)

	entrypoints := commands[*instructions.EntrypointCommand](image)
	require.Len(t, entrypoints, 1)
	assert.False(t, entrypoints[0].PrependShell, "signals would go to a shell")
	copied := map[string]string{} // by where it is put
	for _, c := range commands[*instructions.CopyCommand](image) {
		require.Len(t, c.SourcePaths, 1)
		assert.Equal(t, build.Name, c.From)
		copied[c.DestPath] = c.SourcePaths[0]
	}
	require.Len(t, entrypoints[0].CmdLine, 1)
	binary := copied[entrypoints[0].CmdLine[0]]
	require.NotEmpty(t, binary, "the entrypoint is not what was copied")
	assert.Contains(t, goBuild(t, build), " -o "+binary+" ", "the entrypoint is not what was built")
	assert.Equal(t, strings.Join([]string{user, user}, ":"), copyTo(t, image, "/var/lib/sluice").Chown, "a volume there would not be its user's")
}

// TestDockerfileCopiesWhatExists: each source of a COPY from the context is there.
// Those from the build are proved by TestDockerfileBuildsAStaticBinary.
func TestDockerfileCopiesWhatExists(t *testing.T) {
	t.Parallel()
	build, _ := dockerfile(t)
	sources := 0
	for _, c := range commands[*instructions.CopyCommand](build) {
		for _, source := range c.SourcePaths {
			assert.FileExists(t, path.Join("..", source, "go.mod"), "the build needs the module's root")
			sources++
		}
	}
	require.Positive(t, sources)
}

// TestDockerfileBuildsWithTheGoOfTheModule: the image's Go is new enough, and is
// not replaced by another one that a go.mod asks for.
func TestDockerfileBuildsWithTheGoOfTheModule(t *testing.T) {
	t.Parallel()
	build, _ := dockerfile(t)
	mod, err := os.ReadFile("../go.mod")
	require.NoError(t, err)
	wanted := regexp.MustCompile(`(?m)^go (\S+)$`).FindStringSubmatch(string(mod))
	got := regexp.MustCompile(`^golang:(\d+\.\d+\.\d+)-`).FindStringSubmatch(build.BaseName)
	require.NotNil(t, wanted)
	require.NotNil(t, got, build.BaseName)
	assert.GreaterOrEqual(t, version.Compare("go"+got[1], "go"+wanted[1]), 0, "%s builds no module of go %s", build.BaseName, wanted[1])
	assert.Contains(t, stageEnv(build), "GOTOOLCHAIN=local")
}

// TestImageExposesWhereTheRolesListen: EXPOSE names the ports of docker-compose.yml.
func TestImageExposesWhereTheRolesListen(t *testing.T) {
	t.Parallel()
	_, image := dockerfile(t)
	var exposed []string
	for _, c := range commands[*instructions.ExposeCommand](image) {
		exposed = append(exposed, c.Ports...)
	}
	var listening []string
	for _, service := range ours(project(t)) {
		for _, word := range slices.Concat(service.Command, environment(service)) {
			if _, port, ok := strings.Cut(word, ":"); ok && (strings.HasPrefix(word, ":") || strings.HasSuffix(word, "_ADDR=:"+port)) {
				listening = append(listening, port)
			}
		}
	}
	slices.Sort(listening)
	slices.Sort(exposed)
	assert.Equal(t, slices.Compact(listening), exposed)
}

// goBuild returns the shell's line that builds the program.
func goBuild(t *testing.T, build instructions.Stage) string {
	t.Helper()
	for _, run := range commands[*instructions.RunCommand](build) {
		if line := strings.Join(run.CmdLine, " "); strings.Contains(line, "go build") {
			return line
		}
	}
	require.FailNow(t, "no RUN builds the program")
	return ""
}

func copyTo(t *testing.T, stage instructions.Stage, dest string) *instructions.CopyCommand {
	t.Helper()
	for _, c := range commands[*instructions.CopyCommand](stage) {
		if c.DestPath == dest {
			return c
		}
	}
	require.FailNow(t, "nothing is copied to "+dest)
	return nil
}

// stageEnv is what ENV and the defaults of ARG set, as NAME=value.
func stageEnv(stage instructions.Stage) []string {
	var env []string
	for _, command := range stage.Commands {
		switch c := command.(type) {
		case *instructions.EnvCommand:
			for _, pair := range c.Env {
				env = append(env, pair.Key+"="+pair.Value)
			}
		case *instructions.ArgCommand:
			for _, arg := range c.Args {
				if arg.Value != nil {
					env = append(env, arg.Key+"="+*arg.Value)
				}
			}
		}
	}
	return env
}
