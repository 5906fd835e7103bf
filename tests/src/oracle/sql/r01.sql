--= 1 党组织总数: organisations that are active on the day
SELECT ru, org, 1 AS v FROM org
--= 2 党委
SELECT ru, org, 1 AS v FROM org WHERE org_type IN ('party_committee', 'working_committee')
--= 3 党总支
SELECT ru, org, 1 AS v FROM org WHERE org_type = 'general_branch'
--= 4 党支部小计
SELECT ru, org, 1 AS v FROM branch
--= 5 联合
SELECT ru, org, 1 AS v FROM org WHERE org_type = 'joint_branch'
--= 6 临时
SELECT ru, org, 1 AS v FROM org WHERE org_type = 'temporary_branch'
--= 7 农村
SELECT ru, org, 1 AS v FROM org WHERE field = 'rural'
--= 8 城市社区
SELECT ru, org, 1 AS v FROM org WHERE field = 'community'
--= 9 两新组织
SELECT ru, org, 1 AS v FROM org WHERE field = 'two_new'
--= 10 非公企业
SELECT ru, org, 1 AS v FROM org WHERE field = 'two_new' AND two_new_kind = 'nonpublic'
--= 11 流动
SELECT ru, org, 1 AS v FROM org WHERE field = 'floating'
--= 12 机关
SELECT ru, org, 1 AS v FROM org WHERE field = 'agency'
--= 13 其他
SELECT ru, org, 1 AS v FROM org WHERE field = 'other'
--= 14 党员合计: members whose state is normal on the day; an activist is no member
SELECT ru, org, 1 AS v FROM member
--= 15 正式
SELECT ru, org, 1 AS v FROM member WHERE category = 'formal'
--= 16 预备
SELECT ru, org, 1 AS v FROM member WHERE category = 'probationary'
--= 17 书记空缺: active, and the team has no incumbent; without a team, the register of secretaries has none
--! leadership_team secretaries
SELECT ru, org, 1 AS v FROM org o WHERE CASE WHEN EXISTS (SELECT 1 FROM l_leadership_team t WHERE t.org = o.org)
  THEN NOT EXISTS (SELECT 1 FROM team_secretary t WHERE t.org = o.org)
  ELSE NOT EXISTS (SELECT 1 FROM secretary s WHERE s.org = o.org) END
--= 18 届满未换: the next election was due before the day, and there has been none since the last that it knows, or since it fell due
--! election_terms
SELECT ru, org, 1 AS v FROM org o WHERE next_election_on <> '' AND next_election_on < substr($D, 1, length(next_election_on))
  AND NOT EXISTS (SELECT 1 FROM l_election_terms e WHERE e.org = o.org AND e.election_kind <> 'committee'
    AND UNTIL(e.held_on)
    AND (substr(e.held_on, 1, length(o.next_election_on)) >= o.next_election_on
      OR (o.last_election_on <> '' AND substr(e.held_on, 1, length(o.last_election_on)) > o.last_election_on)))
--= 19 隶属未理顺: organisations with an issue that is open on the day
SELECT DISTINCT ru, org, 1 AS v FROM l_affiliation_issues
WHERE BY(found_on) AND (status IN ('open', 'doing') OR (status = 'resolved' AND AFTER(resolved_on)))
--= 20 无活动场所: said to have none; a blank says nothing
SELECT ru, org, 1 AS v FROM org WHERE field IN ('rural', 'community') AND has_venue = 'no'
