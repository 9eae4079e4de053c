package console

func (c *Console) configuration(q *request) error {
	return c.show(q, "configuration", "Configuration", c.Settings())
}
