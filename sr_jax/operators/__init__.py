"""Pure functions on arrays: channels-last, any number of spatial axes where that makes sense."""
