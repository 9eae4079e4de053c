package config

import (
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-gems/sluice/economy"
)

// set parses values into the field a row of the table points at. Values of
// anything but a list are exactly one. Errors say what to write and never repeat
// a secret.
func set(field any, values []string) error {
	switch f := field.(type) {
	case *[]string:
		*f = values
		return nil
	case *[]Secret:
		*f = nil
		for _, value := range values {
			*f = append(*f, NewSecret(value))
		}
		return nil
	case *[]AdminKey:
		return setAdminKeys(f, values)
	case *[]NamedURL:
		return setNamedURLs(f, values)
	case *[]NamedSecret:
		return setNamedSecrets(f, values)
	case *economy.Amounts:
		return setAmounts(f, values)
	}
	value := values[0]
	switch f := field.(type) {
	case *string:
		*f = value
	case *Secret:
		*f = NewSecret(value)
	case *URL:
		*f = NewURL(strings.TrimRight(value, "/"))
	case *LogFormat:
		*f = LogFormat(value)
	case *WebhookEnvironment:
		*f = WebhookEnvironment(value)
	case *time.Duration:
		d, err := time.ParseDuration(value)
		if err != nil {
			return fmt.Errorf("%q is not a duration: write a number with its unit, such as 300s or 5m", value)
		}
		*f = d
	case *float64:
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return fmt.Errorf("%q is not a number: write one such as 20 or 0.5", value)
		}
		*f = n
	case *int:
		n, err := strconv.Atoi(value)
		if err != nil {
			return fmt.Errorf("%q is not a whole number: write one such as 16", value)
		}
		*f = n
	case *bool:
		b, err := strconv.ParseBool(value)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false: write one of them", value)
		}
		*f = b
	case *slog.Level:
		return setLevel(f, value)
	default:
		panic(fmt.Sprintf("config: no parser for %T", field))
	}
	return nil
}

func setLevel(f *slog.Level, value string) error {
	levels := map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
	}
	level, ok := levels[strings.ToLower(value)]
	if !ok {
		return fmt.Errorf("%q is not a level: write debug, info, warn or error", value)
	}
	*f = level
	return nil
}

// setAdminKeys reads `key` and `role:key`. A colon always ends a role, so that a
// mistyped role cannot become an operator's key.
func setAdminKeys(f *[]AdminKey, values []string) error {
	var keys []AdminKey
	var problems []error
	for i, value := range values {
		role, key, found := strings.Cut(value, ":")
		if !found {
			role, key = string(Operator), value
		}
		switch AdminRole(role) {
		case Viewer, Support, Operator:
			keys = append(keys, AdminKey{Role: AdminRole(role), Key: NewSecret(key)})
		default:
			problems = append(problems, fmt.Errorf(
				"entry %d has something before its colon that is not a role: write role:key with viewer, support or operator", i+1))
		}
	}
	*f = keys
	return errors.Join(problems...)
}

// splitList cuts a comma separated list; spaces around entries and empty entries
// are dropped.
func splitList(value string) []string {
	var out []string
	for entry := range strings.SplitSeq(value, ",") {
		if entry = strings.TrimSpace(entry); entry != "" {
			out = append(out, entry)
		}
	}
	return out
}

// show prints a field as one would write it, secrets masked; nothing when unset.
func show(field any) string {
	switch f := field.(type) {
	case *string:
		return *f
	case *Secret:
		return f.String()
	case *URL:
		return f.String()
	case *LogFormat:
		return string(*f)
	case *WebhookEnvironment:
		return string(*f)
	case *time.Duration:
		return showDuration(*f)
	case *float64:
		return strconv.FormatFloat(*f, 'g', -1, 64)
	case *int:
		return strconv.Itoa(*f)
	case *bool:
		return strconv.FormatBool(*f)
	case *slog.Level:
		return strings.ToLower(f.String())
	case *[]string:
		return strings.Join(*f, ",")
	case *[]Secret:
		return joinShown(*f, Secret.String)
	case *[]AdminKey:
		return joinShown(*f, func(k AdminKey) string { return string(k.Role) + ":" + k.Key.String() })
	case *[]NamedURL:
		return joinShown(*f, func(u NamedURL) string { return u.Name + "=" + u.URL.String() })
	case *economy.Amounts:
		return showAmounts(*f)
	case *[]NamedSecret:
		return joinShown(*f, func(s NamedSecret) string { return s.Name + "=" + s.Secret.String() })
	}
	panic(fmt.Sprintf("config: no form for %T", field))
}

func joinShown[T any](list []T, form func(T) string) string {
	parts := make([]string, len(list))
	for i, entry := range list {
		parts[i] = form(entry)
	}
	return strings.Join(parts, ",")
}

// showDuration writes whole seconds as such, the way the defaults are written:
// 300s, not 5m0s.
func showDuration(d time.Duration) string {
	if d%time.Second == 0 {
		return strconv.FormatInt(int64(d/time.Second), 10) + "s"
	}
	return d.String()
}
