package console

import "regexp"

// eMail finds what is very likely an e-mail address, in any text.
var eMail = regexp.MustCompile(`[\p{L}\p{N}._%+\-]+(@|%40|\\u0040)[\p{L}\p{N}\-]+(\.[\p{L}\p{N}\-]+)+`)

// masked stands for what is not shown.
const masked = "(e-mail hidden)"

// mask hides e-mail addresses in a text: bodies of webhooks, errors and even App User
// IDs may hold some. Whoever needs one asks the database.
func mask(text any) string {
	switch text := text.(type) {
	case string:
		return eMail.ReplaceAllString(text, masked)
	case []byte:
		return eMail.ReplaceAllString(string(text), masked)
	}
	return ""
}
