"""A load of one's own Hub: many users who come, start their servers, stay a while and are removed again."""
